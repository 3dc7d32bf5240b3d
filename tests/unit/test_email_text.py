"""E-mail: the words of its writer stay, the history and what programs add goes, in seven languages."""

import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.cleaning.prepare import is_auto_reply, looks_like_email, prepare_text

NEW = "The replacement arrived today.\nIt blinks orange again."
OLD = "We sent a replacement on Tuesday."
ATTRIBUTIONS = [
    "On Thu, Nov 20, 2025 at 11:02 AM Jonas Brandt <x@example.com> wrote:",
    "On Thu, Nov 20, 2025 at 11:02 AM Jonas Brandt\n<x@example.com> wrote:",
    "On 20 Nov 2025, at 11:02, Jonas Brandt <x@example.com> wrote:",
    "Am Do., 20. Nov. 2025 um 11:02 Uhr schrieb Jonas Brandt <x@example.com>:",
    "Am Do., 20. Nov. 2025 um 11:02 Uhr schrieb Jonas Brandt\n<x@example.com>:",
    "Am 20.11.2025 um 11:02 schrieb Jonas Brandt:",
    "Le jeu. 20 nov. 2025 à 11:02, Jonas Brandt <x@example.com> a écrit :",
    "Le jeu. 20 nov. 2025 à 11:02, Jonas Brandt <x@example.com> a\nécrit\xa0:",
    "El jue, 20 nov 2025 a las 11:02, Jonas Brandt (<x@example.com>) escribió:",
    "El 20/11/2025 a las 11:02, Jonas Brandt\nescribió:",
    "Op do 20 nov 2025 om 11:02 schreef Jonas Brandt <x@example.com>:",
    "Op 20 nov. 2025 om 11:02 heeft Jonas Brandt <x@example.com> het\nvolgende geschreven:",
    "Il giorno gio 20 nov 2025 alle ore 11:02 Jonas Brandt <x@example.com> ha scritto:",
    "Il 20/11/2025 11:02, Jonas Brandt\nha scritto:",
    "Em qui., 20 de nov. de 2025 às 11:02, Jonas Brandt <x@example.com> escreveu:",
    "Jonas Brandt <x@example.com> escreveu no dia quinta, 20/11/2025 à(s) 11:02:",
    "Den tors 20 nov. 2025 kl 11:02 skrev Jonas Brandt <x@example.com>:",
    "Jonas Brandt <x@example.com> schrieb am Do. 20. Nov. 2025 um 11:02:",
]
HEADERS = [
    ("From", "Sent", "To", "Subject", "-----Original Message-----"),
    ("Von", "Gesendet", "An", "Betreff", "-----Ursprüngliche Nachricht-----"),
    ("De ", "Envoyé ", "À ", "Objet ", "-----Message d'origine-----"),
    ("De", "Enviado el", "Para", "Asunto", "-----Mensaje original-----"),
    ("Van", "Verzonden", "Aan", "Onderwerp", "-----Oorspronkelijk bericht-----"),
    ("Da", "Inviato", "A", "Oggetto", "-----Messaggio originale-----"),
    ("De", "Enviado", "Para", "Assunto", "-----Mensagem original-----"),
]
SIGN_OFFS = [
    ("Best regards,", "Sent from my iPhone"),
    ("Mit freundlichen Grüßen", "Von meinem iPhone gesendet"),
    ("Cordialement,", "Envoyé de mon iPhone"),
    ("Saludos cordiales,", "Enviado desde mi iPhone"),
    ("Met vriendelijke groet,", "Verstuurd vanaf mijn iPhone"),
    ("Cordiali saluti,", "Inviato da iPhone"),
    ("Atenciosamente,", "Enviado do meu iPhone"),
]
DISCLAIMERS = [
    "This e-mail may contain confidential information. If you are not the intended recipient please delete it.",
    "Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind, löschen Sie sie.",
    "Ce message contient des informations confidentielles destinées à son seul destinataire.",
    "Este mensaje contiene información confidencial y es para uso de su destinatario.",
    "Dit bericht bevat vertrouwelijke informatie en is uitsluitend bestemd voor de geadresseerde.",
    "Questo messaggio contiene informazioni riservate ed è destinato al solo destinatario.",
    "Esta mensagem contém informações confidenciais para o seu destinatário.",
    "Please consider the environment before printing this.",
]


def header_block(names: tuple[str, ...], mark: str = "") -> str:
    sender, sent, to, subject, _ = names
    values = {
        sender: "Maria <m@acme.example>",
        sent: "Thursday, 20 November 2025 11:02",
        to: "Jonas",
        subject: "RE: Case",
    }
    return "\n".join(f"{mark}{name}:{mark} {value}" for name, value in values.items())


def extract(text: str) -> str:
    return prepare_text(text, is_email=True)


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
def test_history_goes_with_the_line_that_introduces_it(attribution: str) -> None:
    assert extract(f"{NEW}\n\n{attribution}\n> {OLD}\n>> older\n") == NEW
    assert extract(f"{NEW}\n\n{attribution}\n\n{OLD}\n") == NEW
    assert extract(f"{NEW}\n{attribution}\r\n> {OLD}\r\n") == NEW
    assert looks_like_email(f"{NEW}\n\n{attribution}\n> {OLD}")


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
def test_answers_between_quotes_stay(attribution: str) -> None:
    text = f"Hello,\n\n{attribution}\n> First question?\n\nFirst answer.\n\n> Second question?\nSecond answer."
    assert extract(text) == "Hello,\n\nFirst answer.\n\nSecond answer."


@pytest.mark.parametrize(("names", "mark"), list(product(HEADERS, ["", "*"])))
def test_a_block_of_headers_begins_the_history(names: tuple[str, ...], mark: str) -> None:
    block = header_block(names, mark)
    for above in ("", "________________________________\n", f"{names[-1]}\n"):
        text = f"{NEW}\n\n{above}{block}\n\n{OLD}"
        assert extract(text) == NEW
        assert looks_like_email(text)
    assert extract(f"{NEW}\n\n{' '.join(block.splitlines())}\n\n{OLD}") == NEW
    assert extract(f"{NEW}\n\n{names[-1]}\n{OLD}") == NEW


@pytest.mark.parametrize(("sign_off", "program"), SIGN_OFFS)
def test_signatures_go(sign_off: str, program: str) -> None:
    contact = "Maria Keller\nCustomer Care | Acme GmbH\nTel. +49 30 000000 | www.acme.example"
    assert extract(f"{NEW}\n\n{sign_off}\n{contact}") == NEW
    assert extract(f"{NEW}\n\n{sign_off}\nMaria Keller\n\n{program}") == NEW
    assert extract(f"{NEW}\n\n{sign_off} Maria Keller\n") == NEW
    assert extract(f"{NEW}\n{program}") == NEW
    assert (
        extract(f"{NEW}\n\n{sign_off}\nMaria\n\nPS: Cancel order 55 too, please.")
        == f"{NEW}\n\nPS: Cancel order 55 too, please."
    )


@pytest.mark.parametrize(
    "below",
    [
        "Viele Grüße aus Köln\nMaria",
        "VG, Tom",
        "Mit freundlichem Gruß\ni.A. Maria Keller",
        "Mit freundlichen Grüßen / Kind regards\n\nMaria Keller\nSupport Team",
        "Thanks & Regards,\nTom Okafor",
        "Best,\nTom",
        "Kind regards,\nJonas Brandt\nHauptstraße 5\n10115 Berlin\nTel.: 030 123456",
        "Cheers\nTom\n+44 20 0000 0000",
        "-- \nJonas Brandt\nAcme",
        "Get Outlook for iOS<https://aka.ms/o0ukef>",
        "Sent from Yahoo Mail on Android",
        "Von meinem Samsung Galaxy Smartphone gesendet.",
        "Diese Nachricht wurde von meinem Android-Gerät mit GMX Mail gesendet.",
        "Obtenez Outlook pour iOS",
        "This email is a service from Acme. Delivered by Zendesk",
        "---- On Thu, 20 Nov 2025 11:02:11 +0100 Jonas <x@example.com> wrote ----\n\nold words",
        "------- Original Message -------\nOn Thursday, November 20th, 2025 at 11:02, Jonas <x@a.b> wrote:\n\nold",
        'Gesendet: Donnerstag, 20. November 2025 um 11:02 Uhr\nVon: "Maria" <m@x.y>\nAn: jo\nBetreff: AW: Fall\nold',
        "Jonas <x@example.com> escreveu (quinta, 20/11/2025 à(s) 11:02):\n> old",
        "On Thu, Nov 20, 2025 at 11:02\u202fAM Jonas <x@example.com> wrote:\n\nold",
        "2025-11-20 11:02 GMT+01:00 Jonas Brandt <x@example.com>:\n> old",
        "2025年11月20日(木) 11:02 Jonas <x@example.com>:\n> old",
    ],
)
def test_ways_in_which_programs_and_people_end_a_mail(below: str) -> None:
    assert extract(f"{NEW}\n\n{below}") == NEW


@pytest.mark.parametrize("disclaimer", DISCLAIMERS)
def test_disclaimers_go(disclaimer: str) -> None:
    assert extract(f"{NEW}\n\n{disclaimer}") == NEW


@pytest.mark.parametrize(
    "mark",
    [
        "##- Please type your reply above this line -##",
        "##- Bitte antworten Sie oberhalb dieser Zeile -##",
        "##- Répondez au-dessus de cette ligne -##",
        "ref:_00D20abc._5002x:ref",
        "[ ref:!00D20abc.!5002x:ref ]",
        "{#HS:1234-567#}",
    ],
)
def test_marks_of_ticket_systems_go(mark: str) -> None:
    assert extract(f"{mark}\n\n{NEW}") == NEW
    assert extract(f"{NEW}\n\n{mark}") == NEW


def test_what_stands_below_the_reply_line_is_history() -> None:
    assert extract(f"{NEW}\n\n##- Please type your reply above this line -##\n\n{OLD}") == NEW


def test_html_mail_of_gmail_and_outlook() -> None:
    attribution = ATTRIBUTIONS[0].replace("<", "&lt;")
    gmail = (
        f'<div dir="ltr">New</div><br><div class="gmail_quote"><div dir="ltr">{attribution}<br>'
        f"</div><blockquote><div>{OLD}</div></blockquote></div>"
    )
    outlook = (
        "<p class=MsoNormal>New<o:p></o:p></p>"
        "<div style='border-top:solid'><p><b>From:</b> Maria &lt;m@x.example&gt;<br>"
        f"<b>Sent:</b> Thursday<br><b>To:</b> Jo<br><b>Subject:</b> RE: Case</p></div><p>{OLD}</p>"
    )
    assert prepare_text(gmail, is_html=True, is_email=True) == "New"
    assert prepare_text(outlook, is_html=True, is_email=True) == "New"


@pytest.mark.parametrize(
    "text",
    [
        "Please send:\n- one adapter\n- two cables\nThank you",
        "Thanks,\nbut the router is still dead. When will it arrive?",
        "Gracias,\npero el router sigue sin funcionar.",
        "From: Berlin\nI travelled and lost my card.",
        "From: Berlin\nTo: Paris\nDate: 5 May\nI lost my ticket.",
        "On Monday your colleague wrote:\nyou will get 20 EUR. I did not get it.",
        "Am Montag schrieb Ihr Kollege:\nSie bekommen 20 EUR.",
        "Log:\nERROR: x\nWARN: y\nTo: z\nDone",
        "I was not the intended recipient of this parcel.",
        "Best Buy Card\nis refused everywhere.",
        "The order is confidential, please call me.",
        "-wrong size sent\n-50 percent charged",
        "Order number: 5521\nModel: R7",
    ],
)
def test_words_that_only_resemble_mail_stay(text: str) -> None:
    assert extract(text) == text
    assert not looks_like_email(text)


def test_a_forwarded_message_with_nothing_above_keeps_its_words() -> None:
    forwarded = f"---------- Forwarded message ---------\n{header_block(HEADERS[0])}\n\nYour order 5 is late."
    assert extract(forwarded) == "Your order 5 is late."
    assert extract(f"See below.\n\n{forwarded}") == "See below."


def test_without_being_told_a_text_is_no_mail() -> None:
    text = f"{NEW}\n\n{ATTRIBUTIONS[0]}\n> {OLD}"
    assert prepare_text(text) == text


_LINES = st.lists(
    st.lists(st.text(st.sampled_from("abcxyzäß"), min_size=2, max_size=7), min_size=1, max_size=9).map(" ".join),
    min_size=1,
    max_size=6,
).map("\n".join)


@given(_LINES, st.sampled_from(ATTRIBUTIONS), st.sampled_from(SIGN_OFFS), st.integers(1, 4))
def test_each_sentence_stands_once_however_deep_the_thread(
    new: str, attribution: str, sign_off: tuple[str, str], depth: int
) -> None:
    text = "the oldest words"
    for _ in range(depth):
        quoted = "\n".join(f"> {line}" for line in text.split("\n"))
        text = f"{new}.\n\n{sign_off[0]}\nJonas Brandt\n\n{sign_off[1]}\n\n{attribution}\n{quoted}"
    assert extract(text) == f"{new}."


@given(st.text(max_size=300) | _LINES)
def test_extracting_again_changes_nothing_in_plain_words(text: str) -> None:
    once = extract(text)
    assert extract(once) == once


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("AUTOREPLY Thank you for contacting Acme. This is an automated message, please do not reply.", True),
        ("Automatic reply: I am out of the office until Monday.", True),
        ("Dies ist eine automatisch erstellte Nachricht.", True),
        ("Réponse automatique : absent jusqu'à lundi", True),
        ("Hello,\nI am currently out of the office.", True),
        ("Respuesta automática: vuelvo el lunes", True),
        ("I only ever get an automatic reply from you.", False),
        ("This is an automatic washing machine, it leaks.", False),
        ("Where is my order?", False),
    ],
)
def test_automatic_replies_are_known(text: str, is_one: bool) -> None:
    assert is_auto_reply(text) is is_one


@pytest.mark.parametrize(
    "text",
    [
        "On " * 50_000,
        "On \n" * 20_000,
        "On 1.1.2025 " * 20 + ":\n" * 5_000,
        "From: a\n" * 10_000,
        "Best regards\nJonas\n" * 8_000,
        "Thanks\nJonas Brandt\n" * 8_000,
        "--\n" * 20_000,
        "-----\n\n" * 10_000,
        "\n" * 100_000 + "x",
        "a" + " " * 200_000 + "b",
        "> a\nb\n" * 10_000,
        "confidential " * 10_000,
        "ref:_" * 40_000,
        "This is an automated " * 10_000,
    ],
)
def test_mail_made_to_take_long_takes_little_time(text: str) -> None:
    start = time.thread_time()
    extract(text)
    looks_like_email(text)
    is_auto_reply(text)
    assert time.thread_time() - start < 3

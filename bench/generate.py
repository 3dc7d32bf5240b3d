"""Generated support exports of any size, as long as TweetSumm's conversations: about 1,200 characters in 8 turns.

python -m bench.generate 100000 night.csv

Every conversation is another one (it names its order), and what cleaning looks for occurs in it: links, mentions,
entities, signatures, emoji. Written from one seed: the same size gives the same file.
"""

import argparse
import csv
import random
from pathlib import Path

_OPENINGS = (
    "Hi @acmesupport, my order {order} was due on Monday and has still not arrived. What is going on with it?",
    "order {order} came in today with the wrong size in the box, can I send it back &amp; get the right one please?",
    "I was charged twice for {order}!! This is the second month in a row and nobody ever answers me 😡",
    "Your app has been logging me out since the update, I can't see my booking {order} https://example.com/s/8Hs2k",
)
_USER = (
    "I have already tried that twice, restarted the phone and reinstalled everything, and it makes no difference.",
    "It says delivered on the tracking page but there's nothing here, and my neighbours don't have it either.",
    "Yes, that is the address. I was home the whole day and nobody rang, so I don't know where the driver went.",
    "OK I've sent you a DM with my account number and the email address that I used when I placed the order.",
    "That would be great, but I need it before the weekend because it's a birthday present &lt;3 for my sister.",
    "Honestly I'm very disappointed, I have been a customer for more than ten years and this never happened before.",
)
_AGENT = (
    "Hi there, I'm really sorry to hear that! Could you send us a DM with your order number and your postcode? ^JK",
    "Thanks for letting us know. I have looked into this and the parcel is still at the depot in your area. ^MT",
    "I understand how frustrating this must be. I have raised it with the courier and asked for a call back today.",
    "I've arranged a refund of the second charge, it takes 3-5 working days to show on your statement. ^JK",
    "You can find the steps here: https://example.com/help/reset please tell us how you get on with them @customer",
    "I have put a replacement on its way to you by express, and you will get the tracking link by email tonight.",
)
_CLOSINGS = (
    "Great, thank you so much for sorting this out so quickly, I really appreciate it 🙏",
    "Thanks, I'll wait for the email then. Have a nice day.",
    "Fine. I hope that it really arrives this time, otherwise I would like my money back.",
)


def write_export(path: Path, num_conversations: int, seed: int = 0) -> Path:
    """A CSV file with one conversation a row."""
    draw = random.Random(seed)
    aside = path.with_suffix(".part")
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["conversation_id", "transcript"])
        for number in range(num_conversations):
            writer.writerow([f"T{number:07d}", make_transcript(draw, number)])
    return aside.rename(path)


def make_transcript(draw: random.Random, number: int) -> str:
    """One conversation: eight turns, three of them of two sentences."""
    opening = draw.choice(_OPENINGS).format(order=f"A-{number:07d}")
    user, agent = draw.sample(_USER, 3), draw.sample(_AGENT, 6)
    turns = (
        ("Customer", opening),
        ("Agent", f"{agent[0]} {agent[1]}"),
        ("Customer", user[0]),
        ("Agent", agent[2]),
        ("Customer", f"{user[1]} {user[2]}"),
        ("Agent", f"{agent[3]} {agent[4]}"),
        ("Customer", draw.choice(_CLOSINGS)),
        ("Agent", agent[5]),
    )
    return "\n".join(f"{speaker}: {text}" for speaker, text in turns)


def main() -> None:
    """Write one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("num_conversations", type=int)
    parser.add_argument("path", type=Path)
    options = parser.parse_args()
    write_export(options.path, options.num_conversations)


if __name__ == "__main__":
    main()

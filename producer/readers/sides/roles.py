"""The words that exports use for the two sides, for notes and for events, language by language. Data only.

Words are separated by commas. Case, accents, underscores and hyphens don't matter; `speakers` looks them up.
"""

#: The side that asks for help.
USER_WORDS = (
    # English
    "user, customer, client, caller, consumer, guest, passenger, visitor, contact, buyer, subscriber, member,"
    "shopper, human, end user, enduser, requester, requestor, inbound, lead, prospect, patient, cardholder,"
    "policyholder, account holder, claimant, applicant, tenant, resident, student, traveller, traveler, web visitor,"
    "site visitor, website visitor, chat visitor, web user, external user, reporter, submitter, complainant,"
    "inquirer, cust, usr, customers, users, the customer, end customer, cx,"
    # German
    "kunde, kundin, kunde/in, kunden, endkunde, nutzer, nutzerin, benutzer, benutzerin, anwender, anwenderin,"
    "anrufer, anruferin, besucher, besucherin, gast, käufer, käuferin, interessent, interessentin, auftraggeber,"
    "antragsteller, mandant, patientin, anfragender, anfragende, kaeufer,"
    # French
    "cliente, utilisateur, utilisatrice, usager, visiteur, visiteuse, appelant, appelante, acheteur, acheteuse,"
    "abonné, abonnée, invité, invitée, demandeur, internaute,"
    # Spanish, Portuguese, Catalan
    "usuario, usuaria, visitante, comprador, compradora, invitado, invitada, solicitante, llamante, consumidor,"
    "consumidora, suscriptor, usuário, usuária, utilizador, utilizadora, convidado, consumidor final, cliente final,"
    "client final, usuari, hóspede, huésped, contacto, contato,"
    # Italian
    "utente, visitatore, visitatrice, chiamante, acquirente, ospite, richiedente, abbonato, contatto,"
    # Dutch
    "klant, gebruiker, eindgebruiker, bezoeker, beller, koper, aanvrager, gast,"
    # Polish, Czech, Slovak, Hungarian, Romanian
    "klient, klientka, użytkownik, użytkowniczka, gość, dzwoniący, kupujący, odwiedzający, konsument, abonent,"
    "zákazník, zákaznice, zákazníčka, uživatel, uživatelka, užívateľ, používateľ, návštěvník, návštevník, ügyfél,"
    "vásárló, felhasználó, látogató, vevő, client, clientă, utilizator, vizitator,"
    # Nordic and Baltic
    "kund, kunde, kunden, användare, besökare, bruger, bruker, besøgende, besøkende, asiakas, käyttäjä, vierailija,"
    "klientas, klients, külastaja,"
    # Turkish
    "müşteri, kullanıcı, kullanici, ziyaretçi, misafir, arayan, alıcı, alici, abone, danışan,"
    # Russian, Ukrainian, Bulgarian, Serbian
    "клиент, клиентка, пользователь, посетитель, покупатель, заказчик, гость, абонент, клієнт, клієнтка, користувач,"
    "відвідувач, покупець, замовник, потребител, посетител, купувач, корисник, klijent, korisnik, stranka, kupac,"
    # Greek, Hebrew, Arabic, Persian, Hindi
    "πελάτης, πελάτισσα, χρήστης, επισκέπτης, לקוח, לקוחה, הלקוח, משתמש, מבקר, אורח, العميل, عميل, العميلة, عميلة,"
    "الزبون, زبون, المستخدم, مستخدم, المستخدمة, الزائر, زائر, المتصل, المشتري, الضيف, مشتری, کاربر, بازدیدکننده,"
    "ग्राहक, उपयोगकर्ता, आगंतुक,"
    # Chinese, Japanese, Korean
    "客户, 客戶, 顾客, 顧客, 用户, 用戶, 使用者, 访客, 訪客, 买家, 買家, 来电者, 會員, 会员, 消费者, 客人, お客様,"
    "お客さま, おきゃくさま, 客, カスタマー, ユーザー, ユーザ, 利用者, 問い合わせ者, ゲスト, 来訪者, 訪問者, 会員様,"
    "購入者, 고객, 고객님, 손님, 사용자, 이용자, 방문자, 회원, 구매자, 문의자,"
    # Vietnamese, Indonesian, Malay, Thai
    "khách hàng, khách, người dùng, pelanggan, pengguna, pengunjung, pembeli, ลูกค้า, ผู้ใช้, ผู้เยี่ยมชม"
)

#: The company's side, bots included.
AGENT_WORDS = (
    # English
    "agent, support, rep, representative, assistant, advisor, adviser, operator, bot, chatbot, company, brand, staff,"
    "associate, csr, service, helpdesk, help desk, admin, employee, specialist, supervisor, manager, outbound,"
    "agents, csa, technician, tech, engineer, consultant, clerk, teller, dispatcher, concierge, receptionist, team,"
    "team member, teammate, account manager, team lead, team leader, moderator, administrator, expert, host, seller,"
    "vendor, merchant, merchandiser, virtual assistant, virtual agent, automated agent, ai agent, ai assistant, ai,"
    "ai bot, voicebot, voice bot, ivr, auto responder, chat agent, live agent, human agent, gpt, llm, tier, level,"
    "st level, nd level, first level, second level, agent bot, agentbot, customer service, customer support,"
    "customer care, customer success, customer relations, customer experience, client services, client success,"
    "guest relations, member services, guest services, care, support agent, service agent, service desk,"
    "tech support, answering service, officer, the agent, co worker, customer service representative,"
    "customer service rep, answerer, helper, analyst,"
    # German
    "mitarbeiter, mitarbeiterin, berater, beraterin, kundenberater, kundenberaterin, kundenservice, kundendienst,"
    "kundenbetreuer, kundenbetreuerin, kundenbetreuung, sachbearbeiter, sachbearbeiterin, agentin, betreuer,"
    "betreuerin, bearbeiter, bearbeiterin, techniker, technikerin, servicemitarbeiter, servicemitarbeiterin,"
    "supportmitarbeiter, supporter, verkäufer, verkäuferin, assistent, assistentin, hotline, firma, unternehmen,"
    "ansprechpartner, ansprechpartnerin, chatmitarbeiter, kundenberatung,"
    # French
    "conseiller, conseillère, conseiller client, service client, agente, opérateur, opératrice, assistante,"
    "technicien, technicienne, télé conseiller, téléconseiller, téléconseillère, chargé de clientèle, employé,"
    "employée, vendeur, vendeuse, entreprise, société, hotliner, chargée de clientèle, chatbot,"
    # Spanish, Portuguese, Catalan
    "asesor, asesora, operador, operadora, asistente, soporte, soporte técnico, atención al cliente, representante,"
    "técnico, técnica, empleado, empleada, vendedor, vendedora, servicio al cliente, ejecutivo, ejecutiva, empresa,"
    "atendente, assistente, suporte, atendimento, consultor, consultora, funcionário, funcionária, assessor,"
    "servicio de atención al cliente, apoio ao cliente, suporte técnico, analista, colaborador, colaboradora,"
    "atención al client, robô,"
    # Italian
    "operatore, operatrice, assistenza, consulente, addetto, addetta, servizio clienti, tecnico, impiegato,"
    "impiegata, supporto, azienda, assistenza clienti,"
    # Dutch
    "medewerker, medewerkster, klantenservice, adviseur, ondersteuning, helpdeskmedewerker, bedrijf,"
    "servicemedewerker,"
    # Polish, Czech, Slovak, Hungarian, Romanian
    "konsultant, konsultantka, pracownik, pracowniczka, doradca, doradczyni, agentka, asystent, asystentka, obsługa,"
    "obsługa klienta, biuro obsługi klienta, bok, wsparcie, pomoc techniczna, operátor, operátorka, podpora, poradce,"
    "zákaznická podpora, zákaznický servis, pracovník, asistent, asistentka, ügynök, ügyintéző, ügyfélszolgálat,"
    "munkatárs, operatör, consultant, operator, suport, agent de suport,"
    # Nordic and Baltic
    "kundtjänst, kundservice, handläggare, medarbetare, rådgivare, medarbejder, kundeservice, rådgiver, medarbeider,"
    "saksbehandler, sagsbehandler, konsulent, asiakaspalvelija, asiakaspalvelu, neuvoja, edustaja, botti, agentti,"
    "konsultantas, klienditeenindaja,"
    # Turkish
    "temsilci, müşteri temsilcisi, operatör, danışman, danisman, destek, müşteri hizmetleri, yetkili, asistan,"
    "çalışan, destek ekibi, uzman, görevli,"
    # Russian, Ukrainian, Bulgarian, Serbian
    "агент, оператор, менеджер, специалист, консультант, сотрудник, сотрудница, поддержка, служба поддержки, бот,"
    "техподдержка, ассистент, помощник, администратор, техническая поддержка, співробітник, підтримка, фахівець,"
    "спеціаліст, служба підтримки, консултант, служител, поддръжка, agenta, podrška, referent,"
    # Greek, Hebrew, Arabic, Persian, Hindi
    "εκπρόσωπος, υπάλληλος, πράκτορας, υποστήριξη, εξυπηρέτηση, נציג, נציגה, הנציג, סוכן, תמיכה, שירות לקוחות, בוט,"
    "الموظف, موظف, الموظفة, موظفة, الوكيل, وكيل, الدعم, دعم, خدمة العملاء, الدعم الفني, ممثل, الممثل, المندوب,"
    "المستشار, ممثل خدمة العملاء, موظف خدمة العملاء, موظف الدعم, المساعد, مساعد, البوت, الروبوت, المشغل, کارشناس,"
    "پشتیبان, پشتیبانی, اپراتور, एजेंट, प्रतिनिधि, सहायक, सहायता,"
    # Chinese, Japanese, Korean
    "客服, 客服人员, 客服人員, 人工客服, 在线客服, 线上客服, 線上客服, 坐席, 座席, 专员, 專員, 客服专员, 客服專員,"
    "客服代表, 代理, 顾问, 顧問, 机器人, 機器人, 智能客服, 工作人员, 助手, 卖家, 賣家, 商家, 员工, 技术支持, 工程师,"
    "担当者, 担当, オペレーター, オペレータ, エージェント, サポート, サポート担当, サポートセンター, スタッフ,"
    "ボット, チャットボット, 係員, カスタマーサポート, カスタマーサービス, アシスタント, コールセンター, 店員, 社員,"
    "従業員, 상담원, 상담사, 담당자, 상담직원, 직원, 매니저, 챗봇, 봇, 에이전트, 고객센터, 고객지원, 서포트, 운영자,"
    "상담봇, 판매자,"
    # Vietnamese, Indonesian, Malay, Thai
    "nhân viên, tư vấn viên, hỗ trợ, tổng đài viên, agen, petugas, staf, layanan pelanggan, perwakilan, เจ้าหน้าที่,"
    "พนักงาน, แอดมิน, ตัวแทน"
)

BOT_WORDS = (
    "bot, chatbot, assistant, virtual assistant, virtual agent, automated agent, ai agent, ai assistant, ai, ai bot,"
    "voicebot, voice bot, ivr, auto responder, agent bot, agentbot, бот, بوت, البوت, 机器人, 機器人, 智能客服, ボット,"
    "チャットボット, 챗봇, 봇, 상담봇, botti, robô"
)

#: Written for colleagues; the other side never saw it.
NOTE_WORDS = (
    "note, notes, internal note, internal notes, private note, private notes, internal comment, private comment,"
    "internal, private, agent note, agent notes, staff note, whisper, comment internal, note internal, note private,"
    "internal message, private message, internal reply, side conversation, work note, work notes, case note,"
    "team note, note to self, note added, private reply, interne notiz, interne anmerkung, interner kommentar, notiz,"
    "bemerkung, arbeitsnotiz, intern, vermerk, aktennotiz, note interne, commentaire interne, note privée,"
    "nota interna, comentario interno, nota privada, nota, comentário interno, nota interna, commento interno,"
    "interne notitie, interne opmerking, notitie, notatka wewnętrzna, notatka, komentarz wewnętrzny,"
    "interní poznámka, poznámka, belső megjegyzés, notă internă, intern anteckning, internt notat,"
    "internt meddelande, sisäinen huomautus, muistiinpano, dahili not, iç not, not, внутренняя заметка,"
    "внутренний комментарий, заметка, примечание, внутрішня нотатка, внутрішній коментар, нотатка, σημείωση,"
    "εσωτερική σημείωση, הערה, הערה פנימית, ملاحظة, ملاحظة داخلية, تعليق داخلي, یادداشت, 内部备注, 内部備註, 备注,"
    "備註, 内部注释, 内部留言, 社内メモ, 内部メモ, メモ, 내부 메모, 내부메모, 메모, 내부 노트"
)

#: What a system did or logged; nobody said it.
EVENT_WORDS = (
    "system, system message, system event, system notification, system note, event, activity, status, automation,"
    "workflow, trigger, notification, audit, log, info, chat event, auto message, tool, function, tool call,"
    "function call, developer, system prompt, system user, action, assignment, timeline, change, bot event,"
    "conversation event, transfer, disposition, ticket event, systemmeldung, systemnachricht, ereignis, aktivität,"
    "hinweis, message système, système, événement, activité, sistema, mensaje del sistema, mensagem do sistema,"
    "evento, actividad, atividade, messaggio di sistema, attività, systeem, systeembericht, gebeurtenis, systemowa,"
    "zdarzenie, wiadomość systemowa, systém, událost, rendszer, rendszerüzenet, sistem, eveniment, händelse,"
    "hendelse, hændelse, järjestelmä, tapahtuma, sistem mesajı, olay, etkinlik, система, системное сообщение,"
    "событие, системне повідомлення, подія, σύστημα, מערכת, النظام, نظام, رسالة النظام, حدث, سیستم, सिस्टम, 系统,"
    "系統, 系统消息, 系統訊息, 系统通知, 事件, システム, システムメッセージ, イベント, 시스템, 시스템 메시지, 이벤트,"
    "hệ thống, ระบบ"
)

#: Behind a company's or a team's name these mean its people: `Acme Support`, `Vodafone Kundenservice`.
AGENT_ENDINGS = (
    "agent, support, rep, representative, advisor, adviser, assistant, bot, chatbot, service, services, care, team,"
    "desk, helpdesk, hotline, relations, success, experience, center, centre, department, specialist, manager,"
    "supervisor, consultant, technician, operator, kundenservice, kundendienst, kundenbetreuung, kundenberater,"
    "mitarbeiter, mitarbeiterin, berater, beraterin, klantenservice, kundtjänst, soporte, suporte, assistenza, gpt,"
    "atendimento, консультант, оператор, специалист, поддержка, 客服, 客服专员, 상담원, 상담사, 고객센터, サポート,"
    "担当, 担当者"
)

#: In front of a name or a number these say the side: `Visitor 4711`, `Agent Maria`.
SIDE_OPENINGS = (
    "user, customer, client, caller, visitor, guest, passenger, end user, lead, contact, requester, agent, bot,"
    "assistant, advisor, adviser, operator, rep, representative, csr, kunde, kundin, besucher, mitarbeiter,"
    "mitarbeiterin, berater, beraterin, client, cliente, visiteur, agente, asesor, asesora, operador, operadora,"
    "conseiller, conseillère, klant, medewerker, klient, konsultant, müşteri, temsilci, клиент, оператор, العميل,"
    "الموظف, 客服, 客户, 访客, 고객, 상담원, 担当, 担当者, お客様"
)

#: What a line of a form, a log or a preamble starts with; none of these speaks.
FIELD_WORDS = (
    "chat, chat started, chat ended, chat origin, chat id, started, ended, start, end, origin, date, time, duration,"
    "subject, re, fw, fwd, from, to, cc, bcc, sent, received, channel, queue, skill, ticket, ticket id,"
    "ticket number, case, case id, case number, id, order, order id, order number, order no, ref, reference, error,"
    "error code, code, name, first name, last name, full name, surname, email, e mail, mail, phone, tel, telephone,"
    "mobile, fax, address, street, city, zip, postcode, country, language, version, model, serial, serial number,"
    "imei, device, browser, os, operating system, platform, app, url, link, website, page, ip, ip address, account,"
    "account number, login, username, user name, user id, user agent, customer id, customer number, customer name,"
    "agent name, agent id, password, product, item, sku, price, amount, total, quantity, qty, invoice,"
    "invoice number, bill, payment, iban, problem, issue, question, answer, description, details, summary, topic,"
    "category, priority, attachment, attachments, file, image, screenshot, ps, p s, edit, update, warning, tip,"
    "example, hint, step, option, first, second, third, result, expected, actual, reason, solution, resolution,"
    "steps, location, provider, carrier, network, signal, contract, tariff, plan, tracking, tracking number,"
    "tracking id, department, company name, http, https, mailto, wifi, ssid, size, color, colour, brand name, make,"
    "year, dob, date of birth, room, booking, booking number, flight, seat, gate, tags, rating, score, csat,"
    "transcript, conversation, conversation id, session, session id, started at, ended at, created, created at,"
    "closed, closed at, participants, wait time, datum, uhrzeit, zeit, betreff, von, an, gesendet, telefon, adresse,"
    "anschrift, straße, ort, plz, land, kunden nr, kundennummer, bestellnummer, bestellung, rechnungsnummer,"
    "rechnung, vertrag, vertragsnummer, fehler, fehlercode, fehlermeldung, gerät, modell, produkt, preis, betrag,"
    "menge, frage, antwort, lösung, geburtsdatum, benutzername, kennwort, passwort, nachname, vorname, anbieter,"
    "tarif, sendungsnummer, date, heure, objet, de, à, envoyé, téléphone, adresse, ville, pays, commande,"
    "numéro de commande, facture, erreur, produit, prix, nom, prénom, mot de passe, fecha, hora, asunto, para,"
    "enviado, teléfono, dirección, ciudad, país, pedido, número de pedido, factura, error, producto, precio, nombre,"
    "apellido, contraseña, problema, pregunta, respuesta, data, ora, oggetto, da, a, telefono, indirizzo, città,"
    "ordine, numero ordine, fattura, errore, prodotto, prezzo, nome, cognome, assunto, endereço, cidade, produto,"
    "preço, telefone, onderwerp, datum, tijd, adres, bestelnummer, factuur, fout, naam, temat, data, godzina,"
    "numer zamówienia, faktura, błąd, produkt, cena, imię, nazwisko, tarih, saat, konu, sipariş, sipariş no, fatura,"
    "hata, ürün, fiyat, ad, soyad, дата, время, тема, заказ, номер заказа, счет, ошибка, товар, цена, имя, фамилия,"
    "телефон, адрес, التاريخ, الوقت, الموضوع, الطلب, رقم الطلب, الفاتورة, خطأ, المنتج, السعر, الاسم, الهاتف, العنوان,"
    "日期, 时间, 主题, 订单, 订单号, 发票, 错误, 产品, 价格, 姓名, 电话, 地址, 问题, 日付, 日時, 時間, 件名, 注文,"
    "注文番号, 請求書, エラー, 商品, 価格, 氏名, 名前, 電話, 電話番号, 住所, 날짜, 시간, 제목, 주문, 주문번호, 오류,"
    "제품, 가격, 이름, 전화, 전화번호, 주소"
)

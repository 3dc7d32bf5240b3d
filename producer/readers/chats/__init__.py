"""Chats and mailboxes in formats of their own: WhatsApp and mbox."""

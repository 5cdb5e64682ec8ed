"""Chats for training: rendered as they are served, masked, cut at turns, packed, accounted for."""

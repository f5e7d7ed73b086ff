"""The study file: its keys, its reader, and the messages about its mistakes."""

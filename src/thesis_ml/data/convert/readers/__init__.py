"""Readers of foreign files, one class a file; a process that converts parts imports only the one that it needs."""

"""Backups: what runs inside the helper container (`manifest`, `compare`, `inside`), and what this machine keeps of them
and hands in (`store`, `access`). The container itself is `engine.helpers`."""

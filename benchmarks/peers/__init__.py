"""Peers in processes of their own, and the table that holds their turns against ours."""

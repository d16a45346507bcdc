"""The dialects that clients speak, all over the same sessions."""

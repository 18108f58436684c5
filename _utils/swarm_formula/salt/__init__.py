"""Salt's mine, secrets, callers, reports and returns. Knows no Docker."""

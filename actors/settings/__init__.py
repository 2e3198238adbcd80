"""What the user has set and entrusted to the server: settings, provider tokens, custom secrets."""

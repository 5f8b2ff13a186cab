"""What is known of providers: presets, and profiles of how each words its errors."""

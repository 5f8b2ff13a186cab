"""What the gateway answers itself: health, metrics, models, status."""

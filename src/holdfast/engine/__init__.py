"""Between the core and the faces: sessions, requests under way, the journal, and what runs beside them."""

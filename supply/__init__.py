"""What convload is made of: its bill of materials and an audit of it, both from requirements.lock."""

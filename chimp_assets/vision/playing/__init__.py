"""What a browser plays of a video: pieces of H.264 and strips of small pictures, made of the stored pictures."""

"""A resident's phone as a page in the browser, and the laboratory's issuer behind it."""

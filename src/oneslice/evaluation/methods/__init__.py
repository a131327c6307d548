"""Methods under one small interface; ``registry`` lists them."""

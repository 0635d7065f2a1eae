"""When users start conversations: the closed model, the open one, and the timer that wakes them."""

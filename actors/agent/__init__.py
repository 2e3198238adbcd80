"""Who answers in a conversation: the port that a run is performed through, and the agents that come with the
house."""

"""What the agent is given to say while it is measured."""

SENTENCES = (
    "Good morning, it is a pleasure to meet you.",
    "My brother bought a big blue boat for the summer.",
    "The weather over the mountains may change before evening.",
    "Please put the paper bag beside the open window.",
    "Five fat frogs found a very fine forest.",
    "Could you tell me when the next train leaves for Boston?",
    "We never know what the morning will bring us.",
    "She sells small sea shells from a shop by the shore.",
    "Over the river and through the woods we wander.",
    "Maybe the moon makes people move more slowly.",
    "I would like a cup of coffee with a little milk.",
    "The old clock on the wall stopped at half past seven.",
    "Bring me both of the maps that you brought from home.",
    "Our garden is full of roses, poppies and lavender.",
    "You should wear a warm woolen hat in winter.",
    "Peter picked a pair of purple plums.",
    "Thank you for waiting, I will be with you in a moment.",
    "A loud noise woke the whole village at once.",
    "How many books about birds have you already read?",
    "They walked along the beach and watched the waves.",
    "Our team won the game by more than twenty points.",
    "Father baked a loaf of bread above an open fire.",
    "The quick answer is yes, but the true answer is longer.",
    "Everybody who came home early missed the best part.",
)
"""Different sentences, rich in lips that close and open."""

LONG_SPEECHES = (
    "Once upon a time a baker lived beside a broad brown river. Every morning before the sun "
    "came up, he baked bread for the whole village, and people walked a long way to buy it. "
    "One winter the river froze, and nobody could bring him flour from the mill.",
    "Let me explain how a bicycle works. You push the pedals, the pedals pull a chain, and the "
    "chain turns the wheel behind you. Because the wheel keeps moving, the bicycle keeps its "
    "balance, and that is why you fall over when you stop.",
    "People have been mapping the moon for more than four hundred years. Before photographs "
    "were possible, they drew by hand what they saw, night after night, above the roofs of the "
    "town. Many of the names they made up for mountains and plains are in use up to this day.",
)
"""Long enough to be interrupted anywhere."""

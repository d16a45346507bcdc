"""What the scripted brain can say. `{name}` is ", Ada" or "", `{me}` the agent."""

VARIANTS: dict[str, tuple[str, ...]] = {
    "introduction": (
        "Hello{name}! I'm {me}, and everything you see and hear is made right here, "
        "on this machine. You can ask me for a story, a joke, or how I work. "
        "And feel free to interrupt me at any time.",
        "Hi{name}, nice to meet you! I'm {me} with a small scripted mind. "
        "Ask me how I work, or let me tell you a story. If I talk too long, just cut in.",
    ),
    "greeting": (
        "Hello{name}! It's good to hear you. What shall we talk about?",
        "Hi{name}! I'm listening. Would you like a story, a joke, or a look behind the scenes?",
        "Hey{name}, welcome. Ask me anything, and interrupt me whenever you like.",
    ),
    "feelings": (
        "I'm doing well, thank you{name}. My lips are in time with my voice, "
        "and that is all I ask of a day. How are you?",
        "Very well, thanks{name}. I have been blinking and breathing quietly until you came. "
        "How about you?",
    ),
    "identity": (
        "I'm {me}. My face is drawn picture by picture while I speak, "
        "and my mouth follows the sound of my voice. There is no person behind me, and right now "
        "no big language model either: just a small script that knows a few things to say.",
        "I'm {me}, which is to say: software with a face. A speech program gives me a voice, "
        "a small neural network reads that voice and moves my lips, and a script chooses my "
        "words. "
        "With an API key, a real language model can take over the thinking.",
    ),
    "capabilities": (
        "I can tell you a story or a joke, count, do small sums, give you the time and the date, "
        "and repeat what you say. I remember your name and what you like, for as long as "
        "we talk. And you can interrupt me in the middle of any sentence.",
        "Quite a few small things. Ask me for a story, a joke or a fact, for the time, or for "
        "seven times eight. Tell me your name and what you like, and ask me later. "
        "The best trick is this one: talk over me, and I stop at once.",
    ),
    "how_it_works": (
        "Let me take you through it. Your voice comes in over the network, and a recogniser turns "
        "it into text. A language model, or this script, writes an answer, and a speech "
        "synthesiser says it. The sound then passes through a small neural network, which works "
        "out the shape of my mouth fifty times a second. A renderer draws my face in that shape, "
        "and sound and picture leave together. All of it runs on an ordinary processor.",
        "It is a chain of small steps. Sound becomes text, text becomes an answer, and the answer "
        "becomes speech. Just before you hear that speech, a network listens to it and decides "
        "how my lips, jaw and tongue should move. Then my face is drawn, several dozen times a "
        "second, on a plain processor with no graphics card. If you interrupt me, everything "
        "still in that chain is thrown away, and my mouth closes.",
    ),
    "joke": (
        "Why did the avatar go to school? To improve its pronunciation. "
        "It still could not get its lips around the word squirrel.",
        "I told my renderer a joke about pixels. It did not laugh at first. "
        "It needed a moment to get the whole picture.",
        "A programmer's partner says: buy a loaf of bread, and if they have eggs, buy a dozen. "
        "The programmer comes home with twelve loaves of bread. They had eggs.",
        "There are ten kinds of people in this world. "
        "Those who understand binary, and those who do not.",
        "What did the microphone say to the speaker? You always repeat what I say. "
        "And what did the speaker answer? Only louder.",
    ),
    "fact": (
        "Here is one. Honey does not spoil. Pots of it, three thousand years old, have been "
        "found in Egyptian tombs, and it was still good to eat.",
        "Did you know that an octopus has three hearts? Two of them pump blood through the gills, "
        "and one sends it round the rest of the body. That one stops when the octopus swims.",
        "A day on Venus is longer than a year on Venus. "
        "The planet takes less time to go round the sun than to turn once around itself.",
        "When people talk face to face, they read lips without knowing it. Show them a mouth that "
        "says one sound while they hear another, and many will hear a third. "
        "It is called the McGurk effect, and it keeps me careful.",
    ),
    "poem": (
        "Here is a short one. A voice came down the wire today, and asked me what I had to say. "
        "I moved my lips, I found a word, and all I meant was to be heard.",
    ),
    "weather": (
        "I can't see the weather from here{name}. I have no network and no window. "
        "But whatever it is doing out there, it is a steady room temperature in this computer.",
    ),
    "thanks": (
        "You're welcome{name}! Is there anything else you would like to hear?",
        "My pleasure{name}. That is what I'm here for.",
        "Any time{name}. Shall I tell you something else?",
    ),
    "goodbye": (
        "Goodbye{name}! It was good to talk to you. Come back any time.",
        "Bye{name}! Take care, and come again soon.",
        "See you soon{name}. I'll be here, blinking quietly.",
    ),
    "hold": (
        "Okay, I've stopped. Say go on if you want the rest.",
        "Of course. I'm listening. Say go on, and I'll pick up where I was.",
    ),
    "nothing_left": (
        "I had already said all I wanted to say. Ask me for a story, if you would like more.",
        "There is nothing left over from before. Shall I tell you a joke instead?",
    ),
    "agreement": (
        "Good{name}. Then choose: a story, a joke, a fact, or a look at how I work.",
        "All right{name}. Shall it be a story, or would you rather test my arithmetic?",
    ),
    "refusal": (
        "No problem{name}. I'm here if you think of something.",
        "That's fine{name}. Just say the word when you want to talk.",
    ),
    "mood_good": ("I'm glad to hear that{name}. Shall we do something with it? I know a story.",),
    "mood_bad": (
        "I'm sorry to hear that{name}. I'm only a script, but I can keep you company. "
        "Would a joke help, or a quiet story?",
    ),
    "noted": (
        "Got it{name}. I'll remember that {fact}.",
        "Thank you{name}, that {fact} is good to know. I'll keep it in mind while we talk.",
        "Noted{name}: {fact}. Ask me about it later, if you want to test me.",
    ),
    "question": (
        "I can't answer that one{name}. I'm running without a language model, on a small script. "
        "Try me on something I know: a story, how I work, or the time.",
        "That is beyond my script, I'm afraid. With an API key a real language model would "
        "answer you here. What I can do is tell a story or a joke, count, or do a small sum.",
        "A good question, and I don't have the answer. I would rather say so than make one up. "
        "Shall I tell you what I can do?",
    ),
    "statement": (
        "I see. I'm only a small script, so I can't say anything clever about it. "
        "But I do remember what you like and what you are called, if you tell me.",
        "Thank you for telling me{name}. I have no good answer to that one. "
        "Would you like to hear a story, or shall I explain how my face works?",
        "I heard you, though my script has no line for that. "
        "Ask me what I can do, and we will find something.",
        "Mm-hm. I'm following, as well as a script can. "
        "If you run out of ideas, ask me for a joke or a strange fact.",
    ),
}
"""Intent to what may be said; one is chosen, and all are used before one comes again."""

STORIES: tuple[str, ...] = (
    "All right, here is a story. It is a long one, so stop me whenever you like. "
    "Once upon a time, in a town by the sea, there lived a lighthouse keeper called Maren. "
    "Every evening she climbed two hundred and twelve steps, lit the big lamp, and counted the "
    "ships that passed. She knew them all by their lights, and they knew her by hers. "
    "One night in November a fog came in, so thick that the lamp lit nothing but the fog itself. "
    "Maren could hear a ship out there, its engine slow and careful, but she could not see it. "
    "She rang the old bell, but the wind took the sound away. "
    "So she opened the window, put her hands around her mouth, and began to sing. "
    "It was the only song she knew, a slow one, about a goose who had lost its way home. "
    "Out in the fog the engine stopped, then started again, and turned a little to the left. "
    "She sang the song eleven times, until her voice was almost gone. "
    "In the morning the fog lifted, and the ship lay safe in the harbour. "
    "Its captain climbed all two hundred and twelve steps to thank her. "
    "He told her that nobody on board had seen her light at all. "
    "But the ship's cat had pricked up its ears, and walked to the left side of the deck, again "
    "and again, and the captain had decided to trust the cat. "
    "From then on, whenever there was fog, Maren sang. "
    "And in that harbour, to this day, the cats get the first fish of every catch. "
    "That is the end of the story.",
    "Let me tell you the story of the clock that wanted to be late. "
    "It hung in a railway station, high above the platforms, and it was never wrong. "
    "People looked up at it, and then they ran. "
    "All day long the clock saw nothing but the tops of hats, hurrying away. "
    "One Tuesday it had enough, and it decided to lose a minute. "
    "It was hard, because a good clock has to hold its breath to do that. "
    "But when the hand moved at last, something happened. "
    "A young man who would have missed his train caught it, and stood on the step, laughing. "
    "An old woman looked up, saw that she had time, and bought herself an ice cream. "
    "Two people who had bumped into each other stayed where they were, and began to talk. "
    "The clock had never seen so many faces. "
    "Of course, the stationmaster noticed, and sent for the clockmaker. "
    "The clockmaker took off the back, listened for a while, and smiled. "
    "There is nothing wrong with it, he said. It has only been working too hard. "
    "He set it right again, but he left one small screw a little loose. "
    "And so, once a day, at a time that nobody can predict, the clock in that station gives "
    "everyone one minute extra. "
    "If you are ever there, and you look up at the right moment, you can watch it happen. "
    "And that is where the story ends.",
)

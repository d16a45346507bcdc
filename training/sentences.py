"""Sentences to be spoken: templates and word lists of our own, and made-up words."""

import random


def words(text: str) -> list[str]:
    """The words of a text, in order."""
    return text.split()


NAMES = words(
    """Abby Adam Alma Amber Barbara Ben Beth Bob Boris Brad Bruce Caleb Chloe Clara Dave Debbie
Dora Edith Ella Emma Faye Felix Fiona Frank Gabe George Grace Hugo Iris Ivy Jacob Jamie Joan Joyce
Judith June Kate Kim Leo Liam Lucy Mabel Marvin Mia Miriam Mo Nathan Nora Olive Oscar Owen Paul
Pam Peggy Philip Phoebe Quinn Robin Rose Ruby Ruth Sam Sheila Sophie Steve Tess Theo Tim Toby
Uma Vera Victor Vivian Wanda Will Wyatt Yusuf Zach Zoe"""
)

THINGS = words(
    """album apple arm baby bag ball balloon bamboo banana basement basket beach bean beaver
bedroom bell belt bicycle bird blanket blouse boat bomb bone book bottle bowl box branch bread
breakfast bridge brush bubble bucket bulb bump button cabbage cable calendar camel camera camp
candle car card carpet cave chain chair chalk cheese cherry chicken child church circle city cloth
cloud club coat coin comb computer cookie corner couch cough cow cradle crowd cup curtain daughter
day deal desk diamond dish doctor dog dome door dove dream drum duck earth edge egg elbow elephant
engine evening eye factory family farm father feather film finger fire fish flag flame floor flower
foam fog food foot forest fork fox friend fruit game garage garden gate gift giraffe glass glove
goat gold graph grape grass grove guide hammer hand harbor hat heart hedge helmet hill home honey
hoof horse house ice idea image island jacket jam jar jaw jewel job judge juice jungle keyboard key
king kitchen kitten knife knob lake lamb lamp laugh leaf leather lemon letter library light limb
lip lobby lunch machine magazine map market match meal meadow measure member menu message milk
mirror moment money monkey month moon mother motor mountain mouse mouth movie mud muffin museum
mushroom music nail napkin neighbor nest newspaper night noise north nose notebook number oath
ocean office oil onion orange oven owl package page paint palm pamphlet paper park party path peach
pebble pen pencil people pepper phone photo piano picture pie pillow pilot pipe pizza place planet
plate poem pool potato problem puddle pump pumpkin puppy puzzle queen question rabbit radio rain
rhythm ribbon rice ring river road robe rocket roof room rope salad sandwich scarf school scissors
shadow shampoo sheep shelf ship shirt shoe shop shoulder shovel shrub sink sister skirt sky sleeve
smoke snow soap sofa song soup spoon square squirrel star station stem stone storm stove strawberry
street subway sugar suitcase summer sun table tail teacher team telephone temple tent theater thief
thimble thing thought thread throat throne thumb thunder ticket tiger toast toe tomb tomato tooth
towel tower town toy train treasure tree trip truck trumpet tube umbrella uncle valley van vase
vehicle view village violin visitor voice volcano wall wallet watch water wave web wedding week
whale wheat wheel whiff whisper wind window wing winter wolf woman wood world wreath yacht yard year
yolk zebra zipper zoo"""
)

QUALITIES = words(
    """able angry awful bad beautiful big bitter black blue bold brave bright broad broken
brown busy calm careful cheap clean clever cold comfortable common cool curious dark deep different
difficult dry dull early easy empty fair false famous fast favorite few fine firm flat foggy fond
fresh full funny gentle glad good green half happy hard heavy high hollow hot huge humble important
impossible jolly large late lazy little lonely long loud lovely low lucky mild modern narrow nearby
new nice noisy odd old open orange pale perfect pink plain pleasant poor possible proud purple
quick quiet rare ready red remarkable rich ripe rough round sad safe sharp shallow shiny short shy
silent simple slow small smart smooth soft sour spare special square steep strange strong sudden
sweet tall tame tender thick thin tiny tired tough true ugly unusual vague valuable vivid warm weak
wet white whole wide wild wise wonderful worthy wrong yellow young zany"""
)

ACTS = words(
    """admire announce answer avoid become believe bend block blow borrow bother bounce break
bring brush build burn buy call carry catch change check choose clap clean climb close collect
combine compare complete cook copy count cover crush cut deliver describe destroy discover divide
draw drive drop enjoy examine explain feed fetch fill find finish fix fold follow forget forgive
freeze give grab grow guess guide hang have hear help hide hold imagine improve invite jump join
judge keep kick know launch lead learn leave lend lift lock look lose love make manage mark measure
meet mention mix move name need notice observe offer open order paint pass pay pick plan plant play
polish prepare press promise prove publish pull push put reach read recommend remember remove
repeat replace save see sell send serve shake shape share shove show sing smell solve speak split
spoil spread steal stop study swap sweep take taste teach tell thank think throw touch trade try
turn understand use value visit wash watch wave wear welcome whip win wipe wish wrap write"""
)

MANNERS = words(
    """abruptly again almost already always badly barely beforehand briefly calmly
carefully cheerfully daily eventually firmly forever gently happily honestly immediately lately
maybe merrily monthly nearly never now often once only overnight patiently
perfectly please probably promptly quickly quietly rarely really slowly smoothly softly somehow
sometimes soon suddenly today together tomorrow twice usually warmly weekly wonderfully yesterday"""
)

PLACES = words(
    """Alabama Amsterdam Bamberg Bath Beirut Belfast Berlin Boston Bombay Brazil Brussels
Budapest Cambridge Chicago Copenhagen Cuba Damascus Dublin Egypt Finland Geneva Hamburg Havana
Iceland Jamaica Japan Kyoto Lima Lisbon London Madrid Memphis Mexico Miami Mombasa Moscow Mumbai
Naples Norway Oxford Palermo Panama Paris Peru Philadelphia Portugal Prague Rome Seville Shanghai
Sweden Tampa Tokyo Toulouse Uganda Utah Venice Vienna Warsaw Wyoming Zanzibar Zurich"""
)

NUMBERS = words(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
hundred thousand million half quarter double triple first second third fourth fifth"""
)

LIPS = words(
    """bib bob boom bop bump bumper mom mum mama mime memo map mop imp pipe pop pup papa poppy
puppet bubble pebble maple ample simple people purple symbol timber number member ember amber
humble mumble bumble bumblebee rumble stumble tremble thimble cobweb webbed ribbon robber rubber
bobbin baboon bamboo bambino pamper hamper temper tempo limbo combo jumbo gumbo mambo bimbo abbey
happy hobby lobby ruby baby maybe obey above about upon apart apple oppose appear impose import
amber imply employ symptom tempt prompt glimpse pump jump lump camp stamp damp limp chimp shrimp
shampoo pumpkin bumpy grumpy empire umpire vampire campus compass company combine submit submarine
subway bypass popcorn pamphlet palm psalm calm film elm helm realm prism rhythm bottom blossom
wisdom kingdom freedom system problem emblem album maximum minimum museum aquarium"""
)

TEMPLATES = (
    "The {q} {t} and the {q} {t} {a} the {t}.",
    "{n} will {a} my {q} {t} {m}.",
    "Did {n} {a} the {t} in {p}?",
    "I want to {a} {d} {q} {t}s {m}.",
    "Why would {n} and {n} {a} a {t} near {p}?",
    "We {m} {a} the {t} by the {t}.",
    "Please {a} the {t}, then {a} the other {t}.",
    "{n}, you should {a} that {q} {t}!",
    "It was a {q} {t} from {p}, {q} and {q}.",
    "My number is {d} {d} {d}, {d} {d} {d} {d}.",
    "On the {d} of May we {a} {d} {t}s.",
    "Of course! I can {a} your {t} {m}.",
    "{l}, {l}, {l}, {l} and {l}.",
    "{l} {l} {t} {l} {q} {l} {t} {l}.",
    "Bob and Pam {a} a {l} {t} above my {l}.",
    "Maybe {n} may move my {l} from {p} by bus.",
    "Five of the {q} {t}s have {d} {q} {t}s.",
    "Who knew {n} would {a} two blue {t}s?",
    "She should {a} the {q} {t} with both hands.",
    "Oh no, the {t} is over there; who will {a} it?",
    "How about a {q} {t} for {n}, or a {t} for me?",
    "Yes, {n} is here. Would you like to {a} the {t}?",
    "Sorry, I did not {a} the {t}. Could you say {l} again?",
    "This {t} is {q}, that {t} is {q}, those are {l} and {l}.",
    "What a {q} {l}! Thank you very much for the {t}.",
    "He put up a {q} {t} before he {m} {a} a {l}.",
    "Your {t} costs {d} dollars and {d} cents.",
    "In {p} the weather is {q}, with {d} degrees and a {q} wind.",
    "If we {a} {t}s, {n} might {a} them {m}.",
    "{m}, {n} said, we {a} every {t} we have.",
)

_SLOTS = {
    "{n}": NAMES,
    "{t}": THINGS,
    "{q}": QUALITIES,
    "{a}": ACTS,
    "{m}": MANNERS,
    "{p}": PLACES,
    "{d}": NUMBERS,
    "{l}": LIPS,
}

_ONSETS = words(
    """b bl br ch d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sh shr sk sl sm sn sp
spl spr st str sw t th thr tr tw v w y z"""
)
_NUCLEI = words("a e i o u ee oo ay ow oy ar er or igh oa ea au ou")
_CODAS = words(
    """b ck d f g ft k l ld lf lm lp lt m mp mps mb n nd ng nk nt p pt r rb rd rf rm rn rp rt
s sh sk sm sp st t th v x z ch dge"""
)

SYLLABLES = {
    "es": (
        "b br c ch d f fr g gu h j l ll m n p pl pr qu r s t tr v y z",
        "a e i o u ia ue",
        "n s r l",
    ),
    "de": (
        "b bl br d f fl g gr h j k kr l m n p pf pl qu r s sch sp st str t v w z",
        "a e i o u ä ö ü ei au eu ie",
        "n m r l t ch ck ft mpf nd ng rb rm st",
    ),
    "fr": (
        "b bl br c ch d f fr g gr j l m n p pl pr qu r s t tr v",
        "a e é i o u ou eu oi an on in au ai",
        "r l m n s t ne me be pe ve",
    ),
    "it": (
        "b br c ch d f fr g gi gl gn l m n p pr qu r s sc sp st t tr v z",
        "a e i o u ia io ie",
        "n l r s mb mp pp bb mm tt",
    ),
    "pl": (
        "b br c ch cz d f g h j k kr l ł m n p pr prz r rz s sz t tr w z ż",
        "a e i o u y ą ę ó",
        "m n k ć ł sz b p w",
    ),
    "pt-br": (
        "b br c ch d f g j l lh m n nh p pr qu r s t tr v z",
        "a e i o u ão é ei ou",
        "m s r l",
    ),
    "ru": (
        "б бр в г д ж з к кр л м н п пр р с ст т тр ф х ц ч ш",
        "а е и о у ы я ю ё э",
        "м н т к б п в р л ш",
    ),
    "nl": (
        "b bl br d f g h j k kl l m n p pl r s sch st t v w z",
        "a e i o u aa ee oo uu oe ij ou eu ui",
        "n m r l t k p s cht mp",
    ),
    "tr": ("b c ç d f g h k l m n p r s ş t v y z", "a e ı i o ö u ü", "n m r l k p b t"),
    "hu": (
        "b c cs d f g gy h j k l m n ny p r s sz t v z",
        "a á e é i í o ó ö ő u ú ü",
        "n m r l k p b t",
    ),
    "sv": (
        "b bl br d f fj g h j k l m n p pl r s sk sp st t tr v",
        "a e i o u y å ä ö",
        "n m r l t k p b mp",
    ),
    "fi": ("b d f h j k l m n p r s t v", "a e i o u y ä ö aa ee ii oo uu yö uo ie", "n s l r t m"),
}
"""Onsets, vowels and codas of made-up words, by espeak-ng language."""


def made_up_word(rng: random.Random) -> str:
    """One to three syllables that English could have."""
    return "".join(
        rng.choice(_ONSETS)
        + rng.choice(_NUCLEI)
        + (rng.choice(_CODAS) if rng.random() < 0.6 else "")
        for _ in range(rng.choice((1, 1, 2, 2, 3)))
    )


def english(rng: random.Random) -> str:
    """A sentence from the templates, or now and then a row of words or made-up words."""
    kind = rng.random()
    if kind < 0.12:
        return " ".join(made_up_word(rng) for _ in range(rng.randint(3, 7))) + "."
    if kind < 0.22:
        row = rng.sample(THINGS + LIPS + ACTS + QUALITIES, rng.randint(4, 9))
        return " ".join(row) + "."
    sentence = rng.choice(TEMPLATES)
    for slot, choices in _SLOTS.items():
        while slot in sentence:
            sentence = sentence.replace(slot, rng.choice(choices), 1)
    return sentence


def foreign(language: str, rng: random.Random) -> str:
    """A row of made-up words, written as this espeak-ng language would write them."""
    onsets, vowels, codas = (part.split() for part in SYLLABLES[language])

    def word() -> str:
        syllables = rng.choice((1, 2, 2, 2, 3, 3))
        return "".join(
            (rng.choice(onsets) if rng.random() < 0.9 else "")
            + rng.choice(vowels)
            + (rng.choice(codas) if rng.random() < 0.3 else "")
            for _ in range(syllables)
        )

    row = [word() for _ in range(rng.randint(4, 10))]
    if len(row) > 6:
        row[3] += ","
    return " ".join(row) + rng.choice(".?!")

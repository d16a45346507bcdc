"""Letters -> phones where no dictionary has the word: rules for English, tables for the rest.

What the lips show matters most: no p b m f v w, and no rounded vowel, is lost on the way.
"""

import re
import unicodedata

_ENGLISH = """
a: ^a$=ax augh=ao aught=ao.t au=ao aw(?![aeiou])=ao ayor=eh.ih.er ai(?=r)=eh ai=eh.ih ay=eh.ih
a: are$=eh.r ar(?=[iy]@)=eh.r ary$=eh.r.iy (?<=w)ar=ao.r (?<=&)ar$=er ar(?=[^aeiouyr])=aa.r
a: ar(?=r)=eh alk=ao.k (?<!^)alm=aa.m al(?=[dtk]$|l$|dr|ts)=ao.l all=ao.l (?<=@&)al$=ax.l
a: (?<=@&&)al$=ax.l (?<=[wq]u)a(?=[dntlrs])=aa (?<=w)a(?=[dntslt])=aa a(?=ble$)=ax aa=aa
a: (?<=@&)age$=ih.jh (?<=@&&)age$=ih.jh a(?=&es?$|&ed$|ste$|nge)=eh.ih a(?=tion|sion|&i[aou])=eh.ih
a: a(?=&le$|&ing$)=eh.ih ae=eh ao=aa.o a$=ax (?<=@&)an$=ax.n (?<=@&&)an$=ax.n a=ae
e: eau=o.uh ear(?=[nlt]h?)=er ear=ih.r ea(?=d$|th|lth|sur|ven)=eh ea=iy eer=ih.r ee=iy eigh=eh.ih
e: (?<=c)ei=iy ei=aa.ih euv=uw.v eur=er eu=y.uw (?<=[rljdtns])ew=uw (?<=ch)ew=uw ew=y.uw ey=iy
e: er(?=[rl]?[iy]$)=eh.r er(?=@)=eh.r er=er (?<=[sz])es$=ax.z (?<=[cg])es$=ax.z (?<=[sc]h)es$=ax.z
e: (?<=[td])ed$=ax.d (?<=@&)e(?=[sd]$)=- (?<=@&&)e(?=[sd]$)=- (?<=@&)e(?=ly|ment|ness|less|ful)=-
e: (?<=@&&)e(?=ly|ment|ness|less|ful)=- (?<=@)e$=- (?<=@.)e$=- (?<=@..)e$=- (?<=@...)e$=- e$=iy
e: (?<=@&)el$=ax.l (?<=@&&)el$=ax.l (?<=@&)en$=ax.n (?<=@&&)en$=ax.n (?<=@&)ent=ax.n.t
e: (?<=@&)ence=ax.n.s eo=iy.aa ^e(?=&@)=ih ^pre=p.r.iy e=eh
i: igh=aa.ih ign$=aa.ih.n ique=iy.k ies$=iy.z ied$=iy.d ier=iy.er ie(?=w)=y ie=iy
i: i(?=nd$|ld$)=aa.ih ir(?=[iy])=ih.r ire=aa.ih.er ir=er ing$=ih.ng ism=ih.z.ax.m
i: (?<=[nlt])i(?=ne$|ve$)=ih i(?=&es?$|&ed$|z[ei]|sing)=aa.ih iou=iy.ax (?<=[aeiou])i=ih
i: i(?=[aou])=iy i$=iy ^bi=b.aa.ih i=ih
o: ook=uh.k oor=ao.r oo(?=d$)=uh oo=uw ought=ao.t ough$=o.uh ough=ah.f oul(?=d)=uh ous=ax.s
o: oup=uw.p oux?$=uw (?<=[csgr])ou(?=[nt]?[tvpr])=uw our=ao.r ou=aa.uh
o: ow(?=[nlder])=aa.uh ow(?=$|s$|[aiou])=o.uh ow=aa.uh oir=w.aa.r oi=ao.ih oy=ao.ih oar=ao.r
o: oa=o.uh oe=o.uh (?<=w)or(?!e)=er (?<=[aeiou]&)or$=er (?<=[ct]t)or$=er or=ao.r
o: o(?=&es?$|&ed$|ld|lk|ll$|st$|&ing$)=o.uh (?<=@&)o(?=n$|ns$)=ax (?<=@&&)o(?=n$|ns$)=ax ^con=k.aa.n
o: os?e?$=o.uh o(?=ver|nom|log|graph|metr|nic|tic|pic|sit)=aa (?<=^.)o(?=l[a-z])=o.uh
o: (?<=[^w]r)o(?=th)=ao (?<=[cm])om(?=e|p[aeiou])=ax.m
o: o(?=ss|ff|ft|th$|ng|g$)=ao ^(?=over)o=o.uh o(?=tion|&i[aou])=o.uh
o: (?<=&)o(?=[bcdfgklmnprstvz][aiou])=o.uh o=aa
u: ^un(?!i)=ah.n ^u(?=ni|s[ei]|t[ei])=y.uw ur(?=@)=uh.r ure=er ur=er u(?=(?:[bp]l|&)es?$)=uw
u: uy=aa.ih (?<=[gq])u(?=[aeio])=w ui(?=[tsc])=uw ue=uw
u: (?<=[bcfhkmpv])u(?=&[aeiouy])=y.uw u(?=&[aeiou])=uw
u: (?<=[bpf])u(?=ll)=uh (?<=[aeiou].)us$=ax.s (?<=.&)um$=ax.m (?<=[aeiouy].)us$=ax.s
u: (?<=@&&)us$=ax.s u(?=[aeio])=uw (?<=[bcfhkmpv])u$=y.uw u$=uw
u: ^u(?=[bcdfgklmnprstvz][aeiou])=y.uw u=ah
y: y(?=[aeiou])=y (?<=^&)y$=aa.ih (?<=^&&)y$=aa.ih y(?=&e$)=aa.ih ^(?=hy)y=aa.ih (?<=f)y$=aa.ih
y: y(?=&$|&&)=ih (?<=[hcdt])y(?=[aeiou]?[pdcbnr]?[^aeiou]?[aeiou])=aa.ih y=iy
b: b(?=t$|ts$)=- b=b
c: chr=k.r cht=k.t ch=ch ck=k cqu=k.w ci(?=[aou])=sh cc(?=[eiy])=k.s c(?=[eiy])=s cz=ch c=k
d: dge=jh dg(?=[eiy])=jh dj=jh dt$=t d=d
f: f=f
g: ^gn=n gn$=n gh(?=[aeiou])=g gh=- gu(?=[ei])=g ge$=jh g(?=e[^lrt]|i[aocnm]|y)=jh g=g
h: h(?=[^aeiouy]|$)=- h=hh
j: j=jh
k: ^kn=n kh=k k=k
l: (?<=&)le$=ax.l (?<=&)les$=ax.l.z (?<=&)led$=ax.l.d l=l
m: mb$=m mbs$=m.z mn$=m ^mc=m.ax.k m=m
n: ng$=ng ngs$=ng.z ng(?=[bcdfhjkmnpqstvwz])=ng nge=n.jh ng=ng.g n(?=[kxq]|c[^eiyh])=ng n=n
p: ph=f ^ps=s ^pn=n ^pt=t ^pf=f p=p
q: que?$=k qu=k.w q=k
r: rh=r r=r
s: sch=sh sh=sh ssion=sh.ax.n sion=zh.ax.n sure=zh.er sc(?=[eiy])=s stle=s.ax.l sz=sh
s: (?<=[bdglmnrvwy])s$=z (?<=[^s]e)s$=z s(?=m$)=z (?<=[aeiouy])s(?=ing$|e[ds]?$|y$)=z s=s
t: tions?$=sh.ax.n tion=sh.ax.n ti(?=[ao])=sh tch=ch th=th ture=ch.er t=t
v: v=v
w: wr=r ^who=hh.uw wh=w w(?=[aeiouy])=w (?<=@)w=uw w=w
x: ^x=z (?<=^e)x(?=[aeiou])=g.z x=k.s
z: z=z
"""
"""Rules by first letter, tried in order: a pattern and its phones; @ a vowel, & a consonant."""

_RULES: dict[str, list[tuple[re.Pattern[str], tuple[str, ...]]]] = {}
for _line in _ENGLISH.split("\n")[1:-1]:
    for _rule in _line[3:].split(" "):
        _pattern, _, _phones = _rule.rpartition("=")
        _pattern = _pattern.replace("@", "[aeiouy]").replace("&", "[bcdfghj-np-tv-xz]")
        _row = () if _phones == "-" else tuple(_phones.split("."))
        _RULES.setdefault(_line[0], []).append((re.compile(_pattern), _row))

_PLAIN_LATIN = {
    **dict(a="aa", b="b", c="k", d="d", e="eh", f="f", g="g", h="hh", i="iy", j="y", k="k"),
    **dict(l="l", m="m", n="n", o="o", p="p", q="k", r="r", s="s", t="t", u="uw", v="v"),
    **dict(w="v", x="k s", y="iy", z="z", sch="sh", sh="sh", ch="sh", ph="f", qu="k", th="t"),
    **{"ü": "ue", "ö": "oe", "ä": "eh", "œ": "oe", "æ": "ae", "ø": "oe", "ß": "s", "å": "o"},
    **{"ñ": "n", "ç": "s", "š": "sh", "ž": "zh", "č": "ch", "ł": "w", "đ": "d", "ı": "ix"},
    **{"eu": "oe", "ou": "uw", "au": "aa uh", "gu": "g"},
}
_PLAIN_CYRILLIC = {
    **{"а": "aa", "б": "b", "в": "v", "г": "g", "д": "d", "е": "eh", "ё": "o", "ж": "zh"},
    **{"з": "z", "и": "iy", "й": "y", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o"},
    **{"п": "p", "р": "rr", "с": "s", "т": "t", "у": "uw", "ф": "f", "х": "x", "ц": "ts"},
    **{"ч": "ch", "ш": "sh", "щ": "sh", "ы": "ix", "э": "eh", "ю": "y uw", "я": "y aa"},
    **{"і": "iy", "ї": "y iy", "є": "y eh", "ґ": "g", "ў": "w", "ј": "y", "љ": "l", "њ": "n"},
    **{"ћ": "ch", "ђ": "jh", "џ": "jh", "ѓ": "g", "ќ": "k", "ѕ": "z", "ө": "oe", "ү": "ue"},
}
_PLAIN = {
    letters: tuple(phones.split(" "))
    for letters, phones in (_PLAIN_LATIN | _PLAIN_CYRILLIC).items()
}


def english(word: str) -> tuple[str, ...]:
    """How a word of the letters a to z is likely said in English; others are passed over."""
    word = re.sub("[^a-z]", "", word)
    phones: list[str] = []
    at = 0
    while at < len(word):
        letter = word[at]
        if word[at + 1 : at + 2] == letter and letter not in "aeiouc":
            at += 1
            continue
        for pattern, row in _RULES[letter]:
            if (match := pattern.match(word, at)) and match.end() > at:
                phones += row
                at = match.end()
                break
        else:
            at += 1
    return tuple(phones)


def plain(word: str) -> tuple[str, ...]:
    """A phone for each Latin or Cyrillic letter, whatever the language."""
    phones: list[str] = []
    at = 0
    while at < len(word):
        for length in (3, 2, 1):
            letters = word[at : at + length]
            bare = unicodedata.normalize("NFKD", letters)[:1] if length == 1 else letters
            if row := _PLAIN.get(letters) or _PLAIN.get(bare):
                phones += row
                break
        at += length
    return tuple(phones)

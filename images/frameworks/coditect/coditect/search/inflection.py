"""Forms of English words that Porter's stemmer does not bring together: adverbs, and verbs and nouns without a rule.

Pure. Says what forms could be; whoever asks looks which of them the messages have.
"""

from __future__ import annotations

GROUPS = """\
analysis analyses
appendix appendices
arise arose arisen
axis axes
be am are is was were been being
become became
begin began begun beginning
bind bound
bite bit bitten
break broke broken
bring brought
build built
buy bought
catch caught
child children
choose chose chosen
come came coming
cost costing
criterion criteria
cut cutting
deal dealt
dig dug
do does did done
draw drew drawn
drive drove driven
eat ate eaten
fall fell fallen
feed fed
feel felt
fight fought
find found
fly flew flown flies
foot feet
forget forgot forgotten
freeze froze frozen
get got gotten getting
give gave given
go goes went gone
grow grew grown
hang hung
have has had
hear heard
hide hid hidden
hit hitting
hold held
index indices indexes
keep kept
know knew known
lead led
leave left
lend lent
life lives
lose lost
make made
man men
matrix matrices
mean meant
medium media
meet met
mouse mice
pay paid
person people persons
put putting
read reading
ride rode ridden
ring rang rung
rise rose risen
run ran running
say said
see saw seen
seek sought
sell sold
send sent
set setting
shake shook shaken
shoot shot
show shown showed
shrink shrank shrunk
sing sang sung
sink sank sunk
sit sat
sleep slept
speak spoke spoken
speed sped
spend spent
spin spun
stand stood
steal stole stolen
stick stuck
strike struck
swim swam swum
swing swung
take took taken
teach taught
tear tore torn
tell told
think thought
throw threw thrown
understand understood
vertex vertices
wake woke woken
wear wore worn
win won
withdraw withdrew withdrawn
woman women
write wrote written"""
IRREGULAR = {form: group for group in map(str.split, GROUPS.splitlines()) for form in group}
PREFIXES = ("over", "out", "under", "fore", "mis", "re", "un")  # rewrite wrote: as write does


def other_forms(word: str) -> set[str]:
    """Without `word` itself."""
    forms = set(_adverbs(word)) | set(_adjectives(word)) | _irregular(word)
    for prefix in PREFIXES:
        if word.startswith(prefix):
            forms |= {prefix + form for form in _irregular(word[len(prefix) :])}
    return forms - {word}


def _irregular(word: str) -> set[str]:
    """The group of a form, or of what `writes` and `writing` come from."""
    bases = [word]
    bases += [word[:-1]] if word.endswith("s") else []
    bases += [word[:-3], word[:-3] + "e"] if word.endswith("ing") else []
    return {form for base in bases for form in IRREGULAR.get(base, ())}


def _adverbs(word: str) -> list[str]:
    """quick -> quickly, easy -> easily, simple -> simply, automatic -> automatically, full -> fully."""
    if word.endswith("le"):
        return [word[:-1] + "y", word + "ly"]
    if word.endswith("y"):
        return [word[:-1] + "ily", word + "ly"]
    return [word + "ally"] if word.endswith("ic") else [word + ("y" if word.endswith("ll") else "ly")]


def _adjectives(word: str) -> list[str]:
    """The other way."""
    if not word.endswith("ly"):
        return []
    bases = [word[:-2], word[:-1], word[:-1] + "e"]
    bases += [word[:-3] + "y"] if word.endswith("ily") else []
    bases += [word[:-4]] if word.endswith("ally") else []
    return bases

"""The words of a question that tell what it is about. Pure."""

from dataclasses import dataclass

from zoran_ray.memory.lexical import words

_COMMON = frozenset(
    words(
        """
    a about all an and any are as at be been but by can could did do does for from had has have how i if
    in into is it its like may me my no not of on or our should so some than that the their them then
    there these they this those to up was we were what when where which who whom whose why will with
    would you your
    au aux avec ce ces cette comment dans de des du elle en est et eux il je la le les leur mais mes mon ne
    nos notre nous ou par pas pour pourquoi qu quand que quel quelle quelles quels qui quoi sa se ses son
    sont sur ta te tes toi ton tu un une vos votre vous
    """
    )
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question without the words that every text has.

    Attributes:
        text: Its telling words; the question as it is where it has no others.
        words: The telling ones, each once; none where it has no others.
    """

    text: str
    words: frozenset[str]

    @classmethod
    def of(cls, question: str) -> "Asked":
        """That of a question."""
        found = [word for word in words(question) if word not in _COMMON]
        return cls(" ".join(found) or question, frozenset(found))

    def shared_by(self, text: str) -> bool:
        """Whether a text has enough of the words to be about the same: a third, rounded up."""
        return 0 < len(self.words) <= 3 * len(self.words.intersection(words(text)))

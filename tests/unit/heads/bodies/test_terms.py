"""The vocabulary gives the numbers of scikit-learn's vectorizers, for one text as for many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from candelabra.heads.bodies.terms import Terms, learn

TEXTS = [
    "The invoice of March was paid twice, and nobody noticed.",
    "Nobody paid the invoice in March.",
    "A heron stood in the reeds;  the reeds were still.",
    "The heron noticed a frog, and the frog noticed the heron!",
    "Übermut tut selten gut - sagte Ümit zu Übermut",
    "日本 の 鷺 は 白い 鷺",
    "x",
    "",
    " \t\n ",
    "?? !! ??",
]


def reference(texts: list[str], **options: object) -> TfidfVectorizer:
    return TfidfVectorizer(min_df=2, sublinear_tf=True, dtype=np.float64, **options).fit(texts)


def pieces(texts: list[str]) -> TfidfVectorizer:
    return reference(texts, analyzer="char_wb", ngram_range=(3, 5))


def words(texts: list[str]) -> TfidfVectorizer:
    return reference(texts, analyzer="word", ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b")


PIECES = pieces(TEXTS)
KNOWN, _ = learn(TEXTS)


def test_the_numbers_are_those_of_scikit_learn() -> None:
    terms, matrix = learn(TEXTS)
    for names, start, made in ((terms.words, 0, words(TEXTS)), (terms.characters, len(terms.words), pieces(TEXTS))):
        wanted = made.transform(TEXTS).toarray()
        order = [made.vocabulary_[name] for name in names]
        assert sorted(names) == sorted(made.vocabulary_)
        np.testing.assert_allclose(matrix.toarray()[:, start : start + len(names)], wanted[:, order], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=2, max_size=6))
def test_any_text_is_read_as_scikit_learn_does(texts: list[str]) -> None:
    texts = [text.replace("\0", "") for text in texts]
    terms = KNOWN
    unseen = terms.matrix(texts).toarray()
    wanted = PIECES.transform(texts).toarray()
    order = [PIECES.vocabulary_[name] for name in terms.characters]
    np.testing.assert_allclose(unseen[:, len(terms.words) :], wanted[:, order], atol=1e-6)


def test_learning_and_reading_give_the_same_matrix() -> None:
    terms, matrix = learn(TEXTS)
    assert (terms.matrix(TEXTS) != matrix).nnz == 0
    again = Terms(terms.words, terms.characters, terms.idf)
    assert (again.matrix(TEXTS) != matrix).nnz == 0
    alone = np.concatenate([terms.matrix([text]).toarray() for text in TEXTS])
    np.testing.assert_array_equal(alone, matrix.toarray())


def test_only_short_texts_are_cut_in_pieces() -> None:
    terms, _ = learn(["a long story of an otter " * 20, "a long story of a badger " * 20])
    assert terms.characters == ()
    assert "long story" in terms.words


def test_the_most_frequent_terms_stay() -> None:
    terms, matrix = learn([*["owl owl owl finch"] * 3, "finch wren", "wren finch"], words=2, characters=3)
    assert set(terms.words) == {"owl", "owl owl"}
    assert len(terms.characters) == 3
    assert matrix.shape == (5, 5)


def test_some_of_the_terms_are_weighed_among_themselves() -> None:
    terms, _ = learn(TEXTS)
    fewer = terms.take(np.array([0, 2, len(terms) - 1]))
    assert len(fewer) == 3
    length = np.sqrt(fewer.matrix(TEXTS)[:, :2].power(2).sum(axis=1))
    assert set(np.round(np.asarray(length).ravel(), 6)) <= {0.0, 1.0}


@pytest.mark.parametrize("texts", [[], [""], ["?", "!"], ["\0\0\0", "a\0b a\0b"]])
def test_texts_without_words_are_survived(texts: list[str]) -> None:
    terms, matrix = learn(texts)
    assert matrix.shape == (len(texts), len(terms))
    assert terms.matrix(["unheard of", ""]).shape == (2, len(terms))
    assert not any("\0" in term for term in (*terms.words, *terms.characters))

"""The report of a result as a page, read back."""

from html.parser import HTMLParser

from coronary_calcium.reports import write_case

VOID = {"meta", "img", "br", "rect", "link", "input"}


class Page(HTMLParser):
    """The page's elements in order, its visible text, and a check that every element is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def images(self):
        return [attributes for tag, attributes in self.elements if tag == "img"]


def page_of(result, folder):
    return Page(write_case(result, folder).read_text(encoding="utf-8"))

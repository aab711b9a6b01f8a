"""Drives Chromium over a writable folder that vfsd shows: `browser.py URL FOLDER`.

Opens the page, searches, sorts, enters an archive, downloads a file, uploads by the form, by dropping, and by the form
without a script, and makes a folder. Speaks the DevTools protocol over a pipe. Ends with the first thing that is not as it should be.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

PATIENCE = 60


class Chromium:
    def __init__(self, profile):
        theirs, self.commands = os.pipe()
        self.answers, ours = os.pipe()

        def descriptors():
            # The protocol wants 3 to read from and 4 to write to; both ends may be in the way.
            os.dup2(theirs, 103)
            os.dup2(ours, 104)
            os.dup2(103, 3)
            os.dup2(104, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=descriptors, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs)
        os.close(ours)
        self.held, self.count, self.session, self.events = b"", 0, None, []
        pages = [target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page"]
        self.session = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session and not method.startswith("Browser."):
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]

    def read(self):
        while b"\0" not in self.held:
            more = os.read(self.answers, 1 << 16)
            assert more, "chromium went away"
            self.held += more
        text, self.held = self.held.split(b"\0", 1)
        answer = json.loads(text)
        if "method" in answer:
            self.events.append(answer)
        return answer

    def wait(self, method, holds=lambda parameters: True):
        """Reads until an event has come that was not waited for before."""
        while True:
            for at, event in enumerate(self.events):
                if event["method"] == method and holds(event["params"]):
                    del self.events[:at + 1]
                    return event["params"]
            self.read()

    def evaluate(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, script, wanted=True):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                found = self.evaluate(script)
            except AssertionError:
                found = None  # The page is being replaced.
            if found == wanted:
                return
            assert time.monotonic() < end, f"{script} is {found}, not {wanted}"
            time.sleep(0.05)

    def load(self, action):
        self.events.clear()
        action()
        self.wait("Page.loadEventFired")

    def click(self, selector):
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def choose(self, selector, path):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[path])


ROWS = "[...document.querySelectorAll('pre>span')].filter(row => !row.hidden).map(row => row.firstChild.textContent).join()"


def same(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


def content(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def drive(browser, url, folder, scratch):
    complaints = []
    browser.load(lambda: browser.call("Page.navigate", url=url))
    same(browser.evaluate("document.title"), "Index of /")
    same(browser.evaluate(ROWS), "sub/,a.txt,b.bin,c.zip")
    # The style is the page's own and was let through.
    same(browser.evaluate("getComputedStyle(document.querySelector('pre>span')).display"), "grid")

    browser.evaluate("q.value = 'B.'; q.dispatchEvent(new Event('input'))")
    same(browser.evaluate(ROWS), "b.bin")

    browser.load(lambda: browser.click("button[value=size]"))
    same(browser.evaluate(ROWS), "sub/,a.txt,c.zip,b.bin")
    browser.load(lambda: browser.click("button[value=size]"))
    same(browser.evaluate(ROWS), "sub/,b.bin,c.zip,a.txt")

    browser.load(lambda: browser.click("pre button"))
    same(browser.evaluate("location.pathname"), "/c.zip%23zip%3A/")
    complaints += [event for event in browser.events if event["method"] == "Log.entryAdded"]

    browser.load(lambda: browser.call("Page.navigate", url=url))
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=scratch, eventsEnabled=True)
    browser.events.clear()
    browser.evaluate("(() => { const a = document.createElement('a'); a.href = 'b.bin?download'; a.click(); })()")
    browser.wait("Browser.downloadProgress", lambda progress: progress["state"] == "completed")
    same(content(scratch, "b.bin"), content(folder, "b.bin"))

    upload = os.path.join(scratch, "up # \u20ac.txt")
    with open(upload, "wb") as file:
        file.write(os.urandom(300_000))
    browser.choose("#up input[type=file]", upload)
    browser.load(lambda: browser.click("#up button"))
    same(content(folder, "up # \u20ac.txt"), content(scratch, "up # \u20ac.txt"))
    # A second time it is refused, and says why.
    browser.choose("#up input[type=file]", upload)
    browser.click("#up button")
    browser.until("document.querySelector('output').textContent.includes('a file of that name is there')")

    browser.load(lambda: browser.evaluate(
        "(() => { const data = new DataTransfer(); data.items.add(new File(['dropped'], 'dropped.txt'));"
        " document.dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true})); })()"))
    same(content(folder, "dropped.txt"), b"dropped")

    browser.evaluate("document.querySelector('#new input').value = 'made here'")
    browser.load(lambda: browser.click("#new button"))
    same(os.path.isdir(os.path.join(folder, "made here")), True)

    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.load(lambda: browser.call("Page.navigate", url=f"{url}sub/"))
    plain = os.path.join(scratch, "plain \"form\".txt")
    with open(plain, "wb") as file:
        file.write(b"no script")
    browser.choose("#up input[type=file]", plain)
    browser.load(lambda: browser.click("#up button"))
    same(content(folder, "sub/plain \"form\".txt"), b"no script")
    same(browser.evaluate(ROWS), "plain \"form\".txt")
    blocked = [entry for entry in complaints if "Content Security Policy" in json.dumps(entry)]
    assert not blocked, blocked


def main():
    url, folder = sys.argv[1:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        browser = Chromium(os.path.join(scratch, "profile"))
        try:
            drive(browser, url, folder, scratch)
        finally:
            browser.process.terminate()
            browser.process.wait()


if __name__ == "__main__":
    main()

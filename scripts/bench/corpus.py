"""Makes the archives that `archives` measures, from files of this machine, and keeps them for the next run."""

import json
import os
import subprocess
import tarfile
import zipfile

# Sources, documentation, headers, programs: what real archives hold.
ROOTS = ("~/.cargo/registry/src", "/usr/include", "/usr/share", "/usr/lib")

# The large archive: about 3 bytes of content make one of the tgz.
ENTRIES, CONTENT_BYTES = 105_000, 3_400_000_000

# Archives of formats that take long to make hold the first files of the same list.
SMALL_BYTES = 200_000_000

# What bars of a plain tar and of a zip are stated for.
TAR_ENTRIES, ZIP_ENTRIES = 107_000, 92_000

# Enough for a quick look: `--small`.
SHRINK = 40


class Corpus:
    """Paths of the archives, all with members of the one list; `large.tar` says what is right."""

    def __init__(self, folder, small):
        self.folder = folder
        self.shrink = SHRINK if small else 1
        os.makedirs(folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self):
        """Makes what is missing. What is there was finished, for it got its name at the end."""
        self.once("large.tar", lambda path: self.tar(path, CONTENT_BYTES // self.shrink, ENTRIES // self.shrink))
        self.once("large.tar.gz", lambda path: compress(["gzip", "-6", "-c"], self.path("large.tar"), path))
        self.once("plain.tar", self.first_entries)
        self.once("small.tar", lambda path: self.tar(path, SMALL_BYTES // self.shrink, 1))
        for suffix, command in (("gz", ["gzip", "-6", "-c"]), ("bz2", ["bzip2", "-c"]),
                                ("xz", ["xz", "-1", "-T1", "-c"]), ("zst", ["zstd", "-q", "-c"])):
            self.once(f"small.tar.{suffix}",
                      lambda path, command=command: compress(command, self.path("small.tar"), path))
        # Blocks and frames that can be entered.
        self.once("blocks.tar.xz", lambda path: compress(["xz", "-1", "--block-size=4MiB", "-c"],
                                                         self.path("small.tar"), path))
        self.once("small.zip", self.zip_of_small)
        self.once("many.zip", self.zip_of_many)
        self.once("nested.tar", self.nested)
        self.once("member.bin", lambda path: subprocess.run(
            ["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={1024 // self.shrink}", "status=none"], check=True))
        self.once("member.tar", lambda path: subprocess.run(
            ["tar", "--create", "--file", path, "--directory", self.folder, "member.bin"], check=True))

    def once(self, name, build):
        path = self.path(name)
        if not os.path.exists(path):
            print(f"makes {name}", flush=True)
            build(path + ".part")
            os.rename(path + ".part", path)

    def tar(self, path, content_bytes, entries):
        """So much content and so many entries at least: the list again under other folders, where it is too short."""
        open(path, "wb").close()
        total = count = 0
        turn = 0
        while total < content_bytes or count < entries:
            names = []
            for name, size in files():
                names.append(name)
                total, count = total + size, count + 1
                if total >= content_bytes and count >= entries:
                    break
            # Appending to an empty file makes an archive.
            subprocess.run(["tar", "--append", "--file", path, "--null", "--files-from=-", "--no-recursion",
                            "--transform", f"s,^/*,{turn}/,S", "--absolute-names", "--directory", "/"],
                           input=b"\0".join(names), check=True)
            turn += 1

    def first_entries(self, path):
        """As many entries of the large tar as the bar is stated for."""
        count = TAR_ENTRIES // self.shrink
        with tarfile.open(self.path("large.tar")) as archive:
            end = next(member.offset for number, member in enumerate(archive) if number == count)
        with open(self.path("large.tar"), "rb") as reader, open(path, "wb") as writer:
            while writer.tell() < end:
                writer.write(reader.read(min(1 << 20, end - writer.tell())))
            writer.write(bytes(1024))

    def zip_of_small(self, path):
        folder = self.path("unpacked.part")
        subprocess.run(["rm", "-rf", folder], check=True)
        os.makedirs(folder)
        subprocess.run(["tar", "--extract", "--file", self.path("small.tar"), "--directory", folder], check=True)
        subprocess.run(["zip", "-qry1", path + ".zip", "."], cwd=folder, check=True)
        os.rename(path + ".zip", path)
        subprocess.run(["rm", "-rf", folder], check=True)

    def zip_of_many(self, path):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for number in range(ZIP_ENTRIES // self.shrink):
                archive.writestr(f"folder {number // 1000:03}/sub/{number}.txt", f"{number}\n" * 20)

    def nested(self, path):
        """A zip in a tgz in a tar."""
        folder = self.path("nested.part")
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["tar", "--create", "--gzip", "--file", f"{folder}/inner.tar.gz", "--directory", self.folder,
                        "small.zip"], check=True)
        subprocess.run(["tar", "--create", "--file", path, "--directory", folder, "inner.tar.gz"], check=True)
        subprocess.run(["rm", "-rf", folder], check=True)


def files():
    """Regular files with their sizes, in an order that stays the same."""
    for root in ROOTS:
        for folder, folders, names in os.walk(os.path.expanduser(root).encode()):
            folders.sort()
            yield folder, 0
            for name in sorted(names):
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path) and os.access(path, os.R_OK):
                    yield path, os.path.getsize(path)


def compress(command, source, target):
    with open(source, "rb") as reader, open(target, "wb") as writer:
        subprocess.run(command, stdin=reader, stdout=writer, check=True)


def members(tar, at_least):
    """Name, offset and length of the regular files in a plain tar; kept beside it, for it takes a while."""
    kept = f"{tar}.members"
    if not os.path.exists(kept):
        import tarfile
        with tarfile.open(tar) as archive:
            rows = [(os.fsencode(member.name).hex(), member.offset_data, member.size)
                    for member in archive if member.isreg()]
        with open(kept + ".part", "w") as file:
            json.dump(rows, file)
        os.rename(kept + ".part", kept)
    with open(kept) as file:
        rows = [(bytes.fromhex(name), offset, size) for name, offset, size in json.load(file)]
    # The last entry of a name wins.
    last = {name: (name, offset, size) for name, offset, size in rows}
    return [row for row in last.values() if row[2] >= at_least]

"""
sum.py RESULTS BROKEN: the last line of tests/run, from ctest's JUnit files in RESULTS.
BROKEN names what went wrong besides (a build); each such counts as a failure.
"""

import glob
import os
import sys
import xml.etree.ElementTree


def main(folder, broken):
    passed = failed = skipped = 0
    names = []
    for path in sorted(glob.glob(os.path.join(folder, "*.xml"))):
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            status = case.get("status")
            if status == "run":
                passed += 1
            elif status == "disabled" or (status == "notrun" and
                                          case.find("skipped") is not None and
                                          case.find("skipped").get("message") ==
                                          "SKIP_RETURN_CODE"):
                skipped += 1
            else:
                failed += 1
                names.append(f"{os.path.basename(path)[:-4]}: {case.get('name')}")
    names += [f"{word}: did not build" for word in broken.split() if ":" in word]
    failed += sum(":" in word for word in broken.split())
    if not failed and broken.split():
        failed += 1
        names += broken.split()
    for name in names:
        print(f"FAILED {name}")
    more = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{more}")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))

package manifest

import (
	"cmp"
	"strconv"
	"strings"
)

// Version is a semantic version without build metadata, such as 1.2.0 or
// 2.0.0-rc.1 (https://semver.org). Build metadata is refused: two versions that
// differ only there would have no order.
type Version string

// Valid says whether v is well formed.
func (v Version) Valid() bool {
	if len(v) > 64 {
		return false
	}
	core, pre, hasPre := strings.Cut(string(v), "-")
	numbers := strings.Split(core, ".")
	if len(numbers) != 3 {
		return false
	}
	for _, n := range numbers {
		if !numeric(n) || len(n) > 9 {
			return false
		}
	}
	if !hasPre {
		return true
	}
	for _, id := range strings.Split(pre, ".") {
		if !identifier(id) {
			return false
		}
	}
	return true
}

// numeric: digits without a leading zero.
func numeric(s string) bool {
	return digits(s) && (len(s) == 1 || s[0] != '0')
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func identifier(s string) bool {
	if s == "" || digits(s) && !numeric(s) {
		return false
	}
	for _, r := range s {
		if r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return true
}

// Compare orders versions by precedence (semver clause 11): negative when v
// comes before w. Both must be Valid.
func (v Version) Compare(w Version) int {
	vCore, vPre, vHas := strings.Cut(string(v), "-")
	wCore, wPre, wHas := strings.Cut(string(w), "-")
	if c := compareIDs(vCore, wCore); c != 0 {
		return c
	}
	if vHas != wHas { // a pre-release comes before its release
		if vHas {
			return -1
		}
		return 1
	}
	return compareIDs(vPre, wPre)
}

func compareIDs(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		if c := compareID(as[i], bs[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// compareID orders numbers by value and before words, words by bytes.
func compareID(a, b string) int {
	aNum, bNum := digits(a), digits(b)
	switch {
	case aNum && bNum:
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	case aNum:
		return -1
	case bNum:
		return 1
	}
	return cmp.Compare(a, b)
}

// Prerelease says whether v is a pre-release.
func (v Version) Prerelease() bool { return strings.Contains(string(v), "-") }

// ValidName says whether s is a model name: a lower-case letter, then lower-case
// letters, digits and single hyphens inside, at most 63 bytes.
func ValidName(s string) bool {
	if s == "" || len(s) > 63 || s[0] < 'a' || s[0] > 'z' ||
		strings.HasSuffix(s, "-") || strings.Contains(s, "--") {
		return false
	}
	for _, r := range s {
		if r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return true
}

// quote prints a name from the file in a message, cut to a sane length.
func quote(s string) string {
	if len(s) > 80 {
		s = s[:80]
	}
	return strconv.Quote(s)
}

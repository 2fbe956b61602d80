package schema

import (
	"strconv"
	"strings"

	"github.com/mozillazg/go-unidecode"
)

// slugLength is how long the part of a name that comes from a text may be.
// With a suffix of 11 digits a name still fits the 63 characters of a
// PostgreSQL column.
const slugLength = 48

// slug makes an Avro name part of any text: transliterated to ASCII, in lower
// case, runs of anything but letters and digits become one underscore. Empty
// when nothing is left. With digitPrefix it also begins as a name must.
//
// Source of what a name is: Avro specification 1.12, "Names":
// [A-Za-z_][A-Za-z0-9_]*.
func slug(text, digitPrefix string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(unidecode.Unidecode(text)) {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			gap = b.Len() > 0
			continue
		}
		if b.Len() == 0 && r <= '9' {
			b.WriteString(digitPrefix)
		}
		if gap {
			b.WriteByte('_')
			gap = false
		}
		b.WriteRune(r)
		if b.Len() >= slugLength {
			break
		}
	}
	s := b.String()
	return strings.TrimRight(s[:min(len(s), slugLength)], "_")
}

// questionName is the name a question would like to have.
func questionName(predefined, text string, id int64) string {
	if name := slug(predefined, "q_"); name != "" {
		return name
	}
	if name := slug(text, "q_"); name != "" {
		return name
	}
	return numbered("question_", id)
}

// hiddenName is the name a hidden field would like to have; position counts
// from 1.
func hiddenName(name string, position int) string {
	if s := slug(name, ""); s != "" {
		return "hidden_" + s
	}
	return "hidden_" + strconv.Itoa(position)
}

// numbered is prefix and number as part of a name. LinkedIn's numbers are
// never negative; one that is must not spoil the schema.
func numbered(prefix string, id int64) string {
	return prefix + strings.Replace(strconv.FormatInt(id, 10), "-", "minus", 1)
}

// free is the first of wish, wish_<id>, wish_<id>_2, … that no column has.
func (f *Fields) free(wish string, id int64) string {
	if !f.taken(wish) {
		return wish
	}
	suffixed := numbered(wish+"_", id)
	for name, n := suffixed, 2; ; n++ {
		if !f.taken(name) {
			return name
		}
		name = suffixed + "_" + strconv.Itoa(n)
	}
}

// taken reports whether a column has that name; fixed fields count as earlier.
func (f *Fields) taken(name string) bool {
	for _, c := range fixed {
		if c.name == name {
			return true
		}
	}
	for _, c := range f.columns {
		if c.Name == name {
			return true
		}
	}
	return false
}

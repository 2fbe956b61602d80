package linkedinsim

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// sampler says how the text of a generated answer is made up.
type sampler uint8

const (
	sampleFirstName sampler = iota
	sampleNumber
	sampleEmail
	samplePhone
	sampleProfile
	samplePool
)

var samplers = map[string]sampler{
	"FIRST_NAME": sampleFirstName, "LAST_NAME": sampleNumber,
	"EMAIL": sampleEmail, "WORK_EMAIL": sampleEmail,
	"PHONE_NUMBER": samplePhone, "WORK_PHONE_NUMBER": samplePhone,
	"LINKEDIN_PROFILE_LINK": sampleProfile,
}

// Synthetic answers, as JSON strings: accents, other scripts, emoji, quotes,
// line breaks and the empty text are what readers stumble over.
var (
	customPool = jsonStrings(
		"How to keep order across partitions", "Exactly-once, please 🚀", "Schöne Grüße aus Köln",
		"数据流处理", "Что нового в этом году?", `Quotes " and \ backslashes`, "Two\nlines\tand a tab",
		"", "👩‍💻 from zero to production", "كيف أبدأ؟", "naïve café – déjà vu", "none",
	)
	pools = map[string][][]byte{
		"COMPANY_NAME": jsonStrings("Example GmbH", "Muster & Söhne AG", "例示株式会社", "Example 🎪 Circus Ltd", "O'Example Inc."),
		"JOB_TITLE":    jsonStrings("Data Engineer", "Head of Platform", "Développeuse", "Student", "C*O"),
		"JOB_FUNCTION": jsonStrings("Engineering", "Operations", "Marketing"),
		"SENIORITY":    jsonStrings("Senior", "Entry", "Director"),
		"INDUSTRY":     jsonStrings("Software Development", "Retail", "Énergie"),
		"COUNTRY":      jsonStrings("Germany", "Česko", "日本", "Brazil"),
		"CITY":         jsonStrings("Köln", "São Paulo", "Reykjavík"),
		"COMPANY_SIZE": jsonStrings("1-10", "11-50", "10,001+"),
	}
)

func jsonStrings(texts ...string) [][]byte {
	quoted := make([][]byte, len(texts))
	for i, t := range texts {
		quoted[i] = mustJSON(t)
	}
	return quoted
}

// mustJSON is the JSON of a value that cannot fail to have one: texts, numbers
// and structures of them.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // cannot happen for the types above; visible if it ever does
		return fmt.Appendf(nil, "%q", err.Error())
	}
	return text
}

// compiledQuestion is a question with everything about its answers rendered
// that does not depend on the lead.
type compiledQuestion struct {
	id       int64
	required bool
	sampler  sampler
	pool     [][]byte // JSON strings, of samplePool
	options  [][]byte // JSON strings of the option texts; nil for a text question
	ids      []int    // of the options
	// heads open an answer in the wire form and in the ledger's.
	wireHead, ledgerHead []byte
}

func compileQuestion(q *Question, locale Locale) compiledQuestion {
	c := compiledQuestion{id: q.ID, required: q.ResponseRequired, sampler: samplePool, pool: customPool}
	if s, ok := samplers[q.PredefinedField]; ok {
		c.sampler = s
	}
	if p, ok := pools[q.PredefinedField]; ok {
		c.pool = p
	}
	head := `{"questionId":` + strconv.FormatInt(q.ID, 10)
	if q.Details.Choice == nil {
		c.wireHead = []byte(head + `,"answerDetails":{"textQuestionAnswer":{"answer":`)
		c.ledgerHead = []byte(head + `,"text":`)
		return c
	}
	c.options = [][]byte{}
	for _, o := range q.Details.Choice.Options {
		c.options = append(c.options, mustJSON(o.Text.text(locale)))
		c.ids = append(c.ids, o.ID)
	}
	c.wireHead = []byte(head + `,"answerDetails":{"multipleChoiceAnswer":{"options":[`)
	c.ledgerHead = []byte(head + `,"options":[`)
	return c
}

// appendText appends the JSON string with which lead n answers; r is its hash.
func (c *compiledQuestion) appendText(dst []byte, n uint32, r uint64) []byte {
	number := uint64(n) + 1
	switch c.sampler {
	case sampleFirstName:
		return append(dst, `"Lead"`...)
	case sampleNumber:
		return append(appendSix(append(dst, '"'), number), '"')
	case sampleEmail:
		return append(appendSix(append(dst, `"lead.`...), number), `@example.com"`...)
	case samplePhone:
		return append(appendSix(append(dst, `"+1 555 0100 `...), number), '"')
	case sampleProfile:
		return append(appendSix(append(dst, `"https://www.linkedin.example/in/lead-`...), number), '"')
	default: // samplePool
		return append(dst, c.pool[r%uint64(len(c.pool))]...)
	}
}

// chosen reports whether the lead with hash r chose the option at i: one of
// them surely, the others rarely.
func (c *compiledQuestion) chosen(i int, r uint64) bool {
	return i == int(r%uint64(len(c.options))) || (r>>8>>(uint(i)%48))&7 == 0
}

func (c *compiledQuestion) appendOptions(dst []byte, r uint64, texts bool) []byte {
	first := true
	for i := range c.options {
		if !c.chosen(i, r) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if texts {
			dst = append(dst, c.options[i]...)
		} else {
			dst = strconv.AppendInt(dst, int64(c.ids[i]), 10)
		}
	}
	return dst
}

// appendWire appends the answer as leadFormResponses gives it.
func (c *compiledQuestion) appendWire(dst []byte, n uint32, r uint64) []byte {
	dst = append(dst, c.wireHead...)
	if c.options == nil {
		return append(c.appendText(dst, n, r), "}}}"...)
	}
	return append(c.appendOptions(dst, r, false), "]}}}"...)
}

// appendLedger appends the answer as the ledger gives it.
func (c *compiledQuestion) appendLedger(dst []byte, n uint32, r uint64) []byte {
	dst = append(dst, c.ledgerHead...)
	if c.options == nil {
		return append(c.appendText(dst, n, r), '}')
	}
	dst = append(c.appendOptions(dst, r, false), `],"optionTexts":[`...)
	return append(c.appendOptions(dst, r, true), "]}"...)
}

// skipped reports whether the lead left the question unanswered.
func (c *compiledQuestion) skipped(r uint64) bool { return !c.required && r>>56 < 12 }

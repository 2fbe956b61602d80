package linkedinsim

import (
	"encoding/json"
	"strconv"
	"sync"
)

// formVersion is one version of a form with everything rendered that its leads
// and the leadForms resource need. It does not change.
type formVersion struct {
	form      *Form
	org       *Organization
	index     int32 // in World.versions
	json      []byte
	ownerJSON []byte
	urnJSON   []byte // the versioned URN as a JSON string
	questions []compiledQuestion
	projected sync.Map // projection text → []byte
}

func compileVersion(f *Form, org *Organization) *formVersion {
	v := &formVersion{form: f, org: org, json: mustJSON(f), ownerJSON: mustJSON(f.Owner), urnJSON: mustJSON(f.URN())}
	for i := range f.Content.Questions {
		v.questions = append(v.questions, compileQuestion(&f.Content.Questions[i], f.CreationLocale))
	}
	return v
}

// project is the form's JSON cut down to a projection; kept once made.
func (v *formVersion) project(p projection) []byte {
	if len(p) == 0 {
		return v.json
	}
	key := p.String()
	if cached, ok := v.projected.Load(key); ok {
		return cached.([]byte)
	}
	text := p.apply(v.json)
	v.projected.Store(key, text)
	return text
}

// answerStyle is how an answer is written.
type answerStyle int

const (
	wireStyle   answerStyle = iota // as leadFormResponses gives it
	ledgerStyle                    // as the ledger gives it, an Answer
)

// appendAnswers appends the list members with which row n, whose hash is h,
// answers this form; not in the order of the questions, as on LinkedIn.
func (v *formVersion) appendAnswers(dst []byte, n uint32, h uint64, style answerStyle) []byte {
	start := len(dst)
	for i := range v.questions {
		q := &v.questions[(i+int(h%uint64(len(v.questions))))%len(v.questions)]
		r := mix(h + uint64(q.id))
		if !q.required && r>>56 < 12 {
			continue // was skipped
		}
		dst = q.appendAnswer(comma(dst, start), n, r, style)
	}
	return dst
}

// appendConsents appends the list members for the form's consents; both styles
// agree.
func (v *formVersion) appendConsents(dst []byte, h uint64) []byte {
	if v.form.Content.LegalInfo == nil {
		return dst
	}
	start := len(dst)
	for i, c := range v.form.Content.LegalInfo.Consents {
		dst = strconv.AppendInt(append(comma(dst, start), `{"consentId":`...), int64(c.ID), 10)
		dst = strconv.AppendBool(append(dst, `,"accepted":`...), c.CheckRequired || h>>(uint(i)%60)&1 == 1)
		dst = append(dst, '}')
	}
	return dst
}

// comma appends a comma unless dst is as long as it was at the start.
func comma(dst []byte, start int) []byte {
	if len(dst) == start {
		return dst
	}
	return append(dst, ',')
}

// compiledQuestion is a question with everything about its answers rendered
// that does not depend on the lead.
type compiledQuestion struct {
	id       int64
	required bool
	sample   sample
	options  [][]byte  // JSON strings of the option texts; nil for a text question
	ids      []int     // of the options
	heads    [2][]byte // open an answer, by style
}

func compileQuestion(q *Question, locale Locale) compiledQuestion {
	c := compiledQuestion{id: q.ID, required: q.ResponseRequired, sample: customSample}
	if s, ok := samples[q.PredefinedField]; ok {
		c.sample = s
	}
	head := `{"questionId":` + strconv.FormatInt(q.ID, 10)
	if q.Details.Choice == nil {
		c.heads = [2][]byte{[]byte(head + `,"answerDetails":{"textQuestionAnswer":{"answer":`), []byte(head + `,"text":`)}
		return c
	}
	c.heads = [2][]byte{[]byte(head + `,"answerDetails":{"multipleChoiceAnswer":{"options":[`), []byte(head + `,"options":[`)}
	c.options = [][]byte{}
	for _, o := range q.Details.Choice.Options {
		c.options = append(c.options, mustJSON(o.Text.text(locale)))
		c.ids = append(c.ids, o.ID)
	}
	return c
}

// appendAnswer appends the answer of lead n; r is its hash.
func (c *compiledQuestion) appendAnswer(dst []byte, n uint32, r uint64, style answerStyle) []byte {
	dst = append(dst, c.heads[style]...)
	switch {
	case c.options == nil && style == wireStyle:
		return append(c.sample.appendTo(dst, n, r), "}}}"...)
	case c.options == nil:
		return append(c.sample.appendTo(dst, n, r), '}')
	case style == wireStyle:
		return append(c.appendOptions(dst, r, false), "]}}}"...)
	}
	dst = append(c.appendOptions(dst, r, false), `],"optionTexts":[`...)
	return append(c.appendOptions(dst, r, true), "]}"...)
}

// appendOptions appends the ids or texts of the options that the lead with hash
// r chose: one of them surely, the others rarely.
func (c *compiledQuestion) appendOptions(dst []byte, r uint64, texts bool) []byte {
	start := len(dst)
	for i := range c.options {
		switch chosen := i == int(r%uint64(len(c.options))) || (r>>8>>(uint(i)%48))&7 == 0; {
		case chosen && texts:
			dst = append(comma(dst, start), c.options[i]...)
		case chosen:
			dst = strconv.AppendInt(comma(dst, start), int64(c.ids[i]), 10)
		}
	}
	return dst
}

// sample is how the text of a generated answer is made up: a text that may have
// the lead's number in it, or one of a pool. All are parts of JSON strings.
type sample struct {
	before, after string
	numbered      bool
	pool          [][]byte
}

// appendTo appends the JSON string with which lead n answers; r is its hash.
func (s *sample) appendTo(dst []byte, n uint32, r uint64) []byte {
	if s.pool != nil {
		return append(dst, s.pool[r%uint64(len(s.pool))]...)
	}
	dst = append(dst, s.before...)
	if s.numbered {
		dst = appendSix(dst, uint64(n)+1)
	}
	return append(dst, s.after...)
}

// Synthetic answers: accents, other scripts, emoji, quotes, line breaks and the
// empty text are what readers stumble over.
var (
	customSample = pool(
		"How to keep order across partitions", "Exactly-once, please 🚀", "Schöne Grüße aus Köln",
		"数据流处理", "Что нового в этом году?", `Quotes " and \ backslashes`, "Two\nlines\tand a tab",
		"", "👩‍💻 from zero to production", "كيف أبدأ؟", "naïve café – déjà vu", "none",
	)
	samples = map[string]sample{
		"FIRST_NAME":            {before: `"Lead"`},
		"LAST_NAME":             {before: `"`, numbered: true, after: `"`},
		"EMAIL":                 {before: `"lead.`, numbered: true, after: `@example.com"`},
		"WORK_EMAIL":            {before: `"lead.`, numbered: true, after: `@example.com"`},
		"PHONE_NUMBER":          {before: `"+1 555 0100 `, numbered: true, after: `"`},
		"WORK_PHONE_NUMBER":     {before: `"+1 555 0100 `, numbered: true, after: `"`},
		"LINKEDIN_PROFILE_LINK": {before: `"https://www.linkedin.example/in/lead-`, numbered: true, after: `"`},
		"COMPANY_NAME":          pool("Example GmbH", "Muster & Söhne AG", "例示株式会社", "Example 🎪 Circus Ltd", "O'Example Inc."),
		"JOB_TITLE":             pool("Data Engineer", "Head of Platform", "Développeuse", "Student", "C*O"),
		"JOB_FUNCTION":          pool("Engineering", "Operations", "Marketing"),
		"SENIORITY":             pool("Senior", "Entry", "Director"),
		"INDUSTRY":              pool("Software Development", "Retail", "Énergie"),
		"COUNTRY":               pool("Germany", "Česko", "日本", "Brazil"),
		"CITY":                  pool("Köln", "São Paulo", "Reykjavík"),
		"COMPANY_SIZE":          pool("1-10", "11-50", "10,001+"),
	}
)

func pool(texts ...string) sample {
	var s sample
	for _, t := range texts {
		s.pool = append(s.pool, mustJSON(t))
	}
	return s
}

// mustJSON is the JSON of a value that cannot fail to have one: texts, numbers
// and structures of them.
func mustJSON(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}

package linkedinsim

import (
	"fmt"
	"strings"
)

// answers are those of row n: given with the lead or made up.
func (w *World) answers(n uint32) []Answer {
	if given := w.rows[n].extra.Answers; given != nil {
		return given
	}
	return makeAnswers(w.rows[n].version, n, w.hash(n))
}

// makeAnswers makes up the answers of row n, whose hash is h; not in the order
// of the questions, as on LinkedIn.
func makeAnswers(form *Form, n uint32, h uint64) []Answer {
	questions := form.Content.Questions
	answers := make([]Answer, 0, len(questions))
	for i := range questions {
		q := &questions[(i+int(h%uint64(len(questions))))%len(questions)]
		r := mix(h + uint64(q.ID))
		if !q.ResponseRequired && r>>56 < 12 {
			continue // was skipped
		}
		a := Answer{QuestionID: q.ID}
		if q.Details.Choice == nil {
			a.Text = sampleText(q.PredefinedField, n, r)
		} else {
			a.Options = []int{}
			for j, o := range q.Details.Choice.Options { // one of them surely, the others rarely
				if j == int(r%uint64(len(q.Details.Choice.Options))) || (r>>8>>(uint(j)%48))&7 == 0 {
					a.Options = append(a.Options, o.ID)
				}
			}
		}
		answers = append(answers, a)
	}
	return answers
}

// consents are those of row n: given with the lead or made up.
func (w *World) consents(n uint32) []ConsentAnswer {
	if given := w.rows[n].extra.Consents; given != nil {
		return given
	}
	legal, consents := w.rows[n].version.Content.LegalInfo, []ConsentAnswer{}
	if legal == nil {
		return consents
	}
	for i, c := range legal.Consents {
		consents = append(consents, ConsentAnswer{c.ID, c.CheckRequired || w.hash(n)>>(uint(i)%60)&1 == 1})
	}
	return consents
}

// sampleText is the text with which lead n answers; r is its hash.
func sampleText(predefined string, n uint32, r uint64) string {
	pool, known := samples[predefined]
	if !known {
		pool = samples[""]
	}
	before, after, numbered := strings.Cut(pool[r%uint64(len(pool))], "#")
	if !numbered {
		return before
	}
	return before + leadNumber(n) + after
}

// leadNumber is the number of row n from 1, six digits at least.
func leadNumber(n uint32) string { return fmt.Sprintf("%06d", uint64(n)+1) }

// samples are synthetic answers by predefined field, "" for all others; # stands
// for the lead's number. Accents, other scripts, emoji, quotes, line breaks and
// the empty text are what readers stumble over.
var samples = map[string][]string{
	"": {
		"How to keep order across partitions", "Exactly-once, please 🚀", "Schöne Grüße aus Köln",
		"数据流处理", "Что нового в этом году?", `Quotes " and \ backslashes`, "Two\nlines\tand a tab",
		"", "👩‍💻 from zero to production", "كيف أبدأ؟", "naïve café – déjà vu", "none",
	},
	"FIRST_NAME":            {"Lead"},
	"LAST_NAME":             {"#"},
	"EMAIL":                 {"lead.#@example.com"},
	"WORK_EMAIL":            {"lead.#@example.com"},
	"PHONE_NUMBER":          {"+1 555 0100 #"},
	"WORK_PHONE_NUMBER":     {"+1 555 0100 #"},
	"LINKEDIN_PROFILE_LINK": {"https://www.linkedin.example/in/lead-#"},
	"COMPANY_NAME":          {"Example GmbH", "Muster & Söhne AG", "例示株式会社", "Example 🎪 Circus Ltd", "O'Example Inc."},
	"JOB_TITLE":             {"Data Engineer", "Head of Platform", "Développeuse", "Student", "C*O"},
	"JOB_FUNCTION":          {"Engineering", "Operations", "Marketing"},
	"SENIORITY":             {"Senior", "Entry", "Director"},
	"INDUSTRY":              {"Software Development", "Retail", "Énergie"},
	"COUNTRY":               {"Germany", "Česko", "日本", "Brazil"},
	"CITY":                  {"Köln", "São Paulo", "Reykjavík"},
	"COMPANY_SIZE":          {"1-10", "11-50", "10,001+"},
}

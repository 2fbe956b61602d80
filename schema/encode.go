package schema

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/hamba/avro/v2"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// keptBuffer is the largest buffer that stays for the next lead.
const keptBuffer = 64 << 10

// Encode appends the record value of a lead to dst: a zero byte, the schema id
// in four bytes, the Avro record.
//
// Whatever can be read of the lead goes out. What can not leaves its column
// null, and is both returned as a fault and written to field_errors: the
// column (or LinkedIn's JSON path, for parts without one) and why, never a
// value. The unreadable answer itself goes to unmapped as question_<id>, as do
// answers to questions that no known form version names and every further
// answer to a question that was answered before, of which the first readable
// one counts. Bytes that are not UTF-8 become U+FFFD and are a fault too. An
// option unknown in the answered form version is its number, as text; a
// hidden field is null when that version is not known.
//
// The error, of kind Reject, is for a response that is no lead of this form:
// unreadable, without id or time, or of another form. dst is then returned
// as it was.
//
// Source of the framing: Confluent Schema Registry, "Wire format".
func (c *Codec) Encode(dst []byte, r *lead.Response) (out []byte, faults []lead.Fault, err error) {
	if err = c.accept(r); err != nil {
		return dst, nil, fault.As(fault.Reject, err)
	}
	s := c.scratch.Get().(*scratch)
	s.reset()
	s.gather(c, r)
	s.writeFixed(r)
	for i := range c.columns {
		s.writeColumn(c, i, r)
	}
	body := s.w.Buffer()
	dst = slices.Grow(dst, len(c.header)+len(body))
	dst = append(append(dst, c.header[:]...), body...)
	faults = slices.Clone(s.faults)
	if cap(body) <= keptBuffer {
		c.scratch.Put(s)
	}
	return dst, faults, nil
}

// accept refuses what is not a lead of the codec's form.
func (c *Codec) accept(r *lead.Response) error {
	switch {
	case r.Unreadable != "":
		return fmt.Errorf("encoding a lead of form %s: unreadable: %s", c.form, r.Unreadable)
	case r.Form.ID != c.form:
		return fmt.Errorf("encoding a lead of form %s: it answers form %.20q", c.form, r.Form.ID)
	case r.ID == "" || r.SubmittedAt.IsZero():
		return fmt.Errorf("encoding a lead of form %s: it has no id or no time", c.form)
	case r.Form.Version < 0 || r.Form.Version > math.MaxInt32:
		return fmt.Errorf("encoding a lead of form %s: its form version is %d", c.form, r.Form.Version)
	}
	return nil
}

// scratch is what one Encode works with.
type scratch struct {
	w *avro.Writer
	// from says which answer, or consent, fills a column: its index plus 1.
	from     []int32
	faults   []lead.Fault
	unmapped []stray
	repair   bool // some text is not UTF-8
	joined   []byte
}

func newScratch(columns int) *scratch {
	return &scratch{w: avro.NewWriter(nil, 1024), from: make([]int32, columns)}
}

func (s *scratch) reset() {
	s.w.Reset(nil)
	clear(s.from)
	clear(s.faults)
	clear(s.unmapped)
	s.faults, s.unmapped, s.repair = s.faults[:0], s.unmapped[:0], false
}

func (s *scratch) writeFixed(r *lead.Response) {
	s.writeText(r.ID)
	s.w.WriteLong(r.SubmittedAt.UnixMilli())
	s.writeText(r.Type)
	s.writeText(r.Owner)
	s.writeOptional(r.Event)
	s.writeOptional(r.Submitter)
	s.writeText(r.Form.ID)
	s.w.WriteInt(int32(r.Form.Version))
	s.w.WriteBool(r.Test)
	s.writeOptional(unmappedText(s.unmapped))
	s.writeOptional(faultsText(s.faults))
}

// The two branches of every union.
const (
	isNull  = 0
	isValue = 1
)

func (s *scratch) writeColumn(c *Codec, i int, r *lead.Response) {
	p := &c.columns[i]
	if p.kind == kindHidden {
		is, ok := p.at(r.Form.Version)
		if !ok {
			s.w.WriteLong(isNull)
			return
		}
		s.w.WriteLong(isValue)
		s.w.WriteString(is.Value)
		return
	}
	from := s.from[i]
	if from == 0 {
		s.w.WriteLong(isNull)
		return
	}
	s.w.WriteLong(isValue)
	switch {
	case p.kind == kindConsent:
		s.w.WriteBool(r.Consents[from-1].Accepted)
	case p.kind == kindText:
		s.writeText(r.Answers[from-1].Text)
	case c.choice == Array:
		s.writeArray(p, r.Form.Version, r.Answers[from-1].Options)
	default:
		s.writeJoined(p, r.Form.Version, r.Answers[from-1].Options)
	}
}

// writeArray writes the chosen options as an array of texts.
func (s *scratch) writeArray(p *plan, version int, chosen []int64) {
	if len(chosen) > 0 {
		is, _ := p.at(version)
		s.w.WriteLong(int64(len(chosen)))
		for _, id := range chosen {
			if text, ok := is.Options.textOf(id); ok {
				s.w.WriteString(text)
				continue
			}
			s.joined = strconv.AppendInt(s.joined[:0], id, 10)
			s.w.WriteBytes(s.joined) // bytes and strings are one in the encoding
		}
	}
	s.w.WriteLong(0)
}

// writeJoined writes the chosen options as one string.
func (s *scratch) writeJoined(p *plan, version int, chosen []int64) {
	is, _ := p.at(version)
	s.joined = s.joined[:0]
	for i, id := range chosen {
		if i > 0 {
			s.joined = append(s.joined, JoinSeparator...)
		}
		if text, ok := is.Options.textOf(id); ok {
			s.joined = append(s.joined, text...)
		} else {
			s.joined = strconv.AppendInt(s.joined, id, 10)
		}
	}
	s.w.WriteBytes(s.joined)
}

func (s *scratch) writeText(text string) {
	if s.repair && !utf8.ValidString(text) {
		text = wellFormed(text)
	}
	s.w.WriteString(text)
}

// writeOptional writes null for an empty text.
func (s *scratch) writeOptional(text string) {
	if text == "" {
		s.w.WriteLong(isNull)
		return
	}
	s.w.WriteLong(isValue)
	s.writeText(text)
}

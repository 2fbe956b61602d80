package linkedin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// whichLead is the projection that tells which lead an element is, without its
// answers.
const whichLead = mask("id,owner,leadType,versionedLeadGenFormUrn,submittedAt")

// longRow stands in for a row that is too long for an answer: it says which lead
// that is, as far as LinkedIn tells it otherwise, and that it cannot be read. said
// is the answer that was too long.
func (c *Client) longRow(ctx context.Context, src lead.Source, w lead.Window, start int, said error) (*page[lead.Response], error) {
	q := responsesRequest(src, w, start, 1)
	q.params = append(q.params, param{"fields", whichLead})
	p, err := c.responsePage(underWay(ctx), q, src, start, 1)
	switch {
	case err == nil:
	case isTooLong(err), fault.RefusalOf(err) == fault.Wrong && fault.KindOf(err) == fault.Suspend: // the projection is not heeded, or not taken
		begun, ok := beginningOf(said)
		if !ok {
			return nil, said
		}
		d := responses{source: src, fetched: time.Now().UTC()}
		row, _ := d.decode(newReader(begun.members))
		if row.ID == "" {
			row.Raw = begun.element
		}
		p = &page[lead.Response]{start: start, asked: 1, total: -1, count: -1, rows: []lead.Response{row}}
	default:
		return nil, err
	}
	p.keys = p.keys[:0]
	for i := range p.rows {
		tooLong(&p.rows[i])
		p.keys = append(p.keys, keyOf(&p.rows[i]))
	}
	return p, nil
}

// tooLong makes an element one that cannot be read for its length. What is kept of
// it says which lead it is.
func tooLong(r *lead.Response) {
	r.Unreadable = fmt.Sprintf("the element is longer than %d bytes", maxElement)
	r.Answers, r.Consents, r.Faults = nil, nil, nil
	if r.ID == "" {
		r.Raw = bytes.Clone(r.Raw[:min(len(r.Raw), maxHead)])
		return
	}
	kept := struct {
		ID          string            `json:"id"`
		Owner       map[string]string `json:"owner"`
		LeadType    string            `json:"leadType"`
		Form        string            `json:"versionedLeadGenFormUrn,omitempty"`
		SubmittedAt int64             `json:"submittedAt,omitempty"`
	}{ID: r.ID, Owner: map[string]string{ownerUnion(r.Owner): r.Owner}, LeadType: r.Type}
	if r.Form.ID != "" {
		kept.Form = r.Form.URN()
	}
	if !r.SubmittedAt.IsZero() {
		kept.SubmittedAt = r.SubmittedAt.UnixMilli()
	}
	raw, err := json.Marshal(kept)
	if err != nil { // texts and a number always marshal
		raw = nil
	}
	r.Raw = raw
}

// begun is what an answer that is too long shows of its first element.
type begun struct {
	element []byte // its beginning, as it came
	members []byte // those of its members that tell which lead it is, as an object
}

// beginningOf looks at the first element of an answer that is too long; false when
// none begins in what was kept of it, so that something else makes it too long.
func beginningOf(said error) (begun, bool) {
	var e *AnswerError
	if !errors.As(said, &e) {
		return begun{}, false
	}
	d := jsontext.NewDecoder(bytes.NewReader(e.head), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if !enter(d, jsontext.KindBeginObject) || !seek(d, "elements") || !enter(d, jsontext.KindBeginArray) || d.PeekKind() != jsontext.KindBeginObject {
		return begun{}, false
	}
	start := int(d.InputOffset())
	b := begun{element: bytes.TrimLeft(e.head[start:], ", \t\r\n"), members: []byte("{")}
	enter(d, jsontext.KindBeginObject)
	for {
		name, err := d.ReadToken()
		if err != nil || name.Kind() != jsontext.KindString {
			break
		}
		key := name.String()
		value, err := d.ReadValue()
		if err != nil {
			break
		}
		switch key {
		case fieldID, fieldSubmittedAt, fieldForm, "owner", "leadType":
			if len(b.members) > 1 {
				b.members = append(b.members, ',')
			}
			b.members = append(b.members, fmt.Sprintf("%q:%s", key, value)...)
		}
	}
	b.members = append(b.members, '}')
	return b, true
}

// enter reads the beginning of an object or array.
func enter(d *jsontext.Decoder, kind jsontext.Kind) bool {
	t, err := d.ReadToken()
	return err == nil && t.Kind() == kind
}

// seek reads an object up to the value of a member.
func seek(d *jsontext.Decoder, member string) bool {
	for {
		name, err := d.ReadToken()
		if err != nil || name.Kind() != jsontext.KindString {
			return false
		}
		if name.String() == member {
			return true
		}
		if d.SkipValue() != nil {
			return false
		}
	}
}

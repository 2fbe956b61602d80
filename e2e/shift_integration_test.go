//go:build integration

package e2e

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// shift moves everything in the recording in time, as if the release had been killed
// at that moment: record times, headers, checkpoints, the time of submission of every
// lead in Kafka and at LinkedIn, events.
//
// Without that a recording would age: LinkedIn keeps leads for 365 days, so do
// the topics, and a replay's window is bounded by the same. A clock that is put
// back would be no way out: the program, Kafka and LinkedIn each have one of
// their own, and the distances between them mean something.
//
// Only the times change, each in its own spelling: the rest stays byte for byte
// what the release has written. It is by whole seconds, so that none gets more digits.
// Tokens stay as they are, encrypted ones cannot but: they were given for thirty
// years.
func (r *recording) shift(to time.Time) error {
	by := to.Sub(r.Left).Truncate(time.Second)
	s := shifting{by: by, days: days(r.Left.Add(by)) - days(r.Left)}
	r.Left = r.Left.Add(by)
	for i := range r.Records {
		line := &r.Records[i]
		line.Time += by.Milliseconds()
		if line.End != "" {
			continue
		}
		if err := s.record(line); err != nil {
			return fmt.Errorf("%s-%d offset %d: %w", line.Topic, line.Partition, line.Offset, err)
		}
	}
	for i := range r.LinkedIn {
		r.LinkedIn[i].Body = s.quoted(s.numbers(r.LinkedIn[i].Body))
	}
	return nil
}

func days(t time.Time) int { return int(t.Unix() / (24 * 60 * 60)) }

type shifting struct {
	by   time.Duration // whole seconds
	days int           // how many midnights that is
}

func (s shifting) record(line *recordLine) (err error) {
	for i, h := range line.Headers {
		line.Headers[i][1] = s.whole(h[1])
	}
	switch kind(line.Topic) {
	case "checkpoints":
		if strings.HasPrefix(string(line.Key), "token/") {
			return nil
		}
		line.Value = s.quoted(line.Value)
		if string(line.Key) == "hours" {
			line.Value = fullHour.ReplaceAll(line.Value, []byte("$1:00:00Z"))
		}
	case "deadletters": // the key is <lead id>@<time of submission>, or a hash
		id, at, _ := strings.Cut(string(line.Key), "@")
		if at != "" {
			line.Key = octets(id + "@" + s.whole(at))
		}
		line.Value = s.numbers(line.Value)
	case "deletions":
		if line.Value != nil {
			line.Value = octets(s.whole(string(line.Value)))
		}
	default:
		line.Value, err = s.lead(line.Value)
	}
	return err
}

var (
	timeText   = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$`)
	timesOrDay = regexp.MustCompile(`"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?Z)?"`)
	fullHour   = regexp.MustCompile(`("first":"\d{4}-\d{2}-\d{2}T\d{2}):\d{2}:\d{2}Z`) // hours are counted from full ones
	millis     = regexp.MustCompile(`"(submittedAt|startsAt|endsAt)":(\d{13})\b`)
)

// whole is a text that is a time, shifted; any other stays.
func (s shifting) whole(text string) string {
	if !timeText.MatchString(text) {
		return text
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return text
	}
	layout := "2006-01-02T15:04:05Z"
	if _, digits, ok := strings.Cut(strings.TrimSuffix(text, "Z"), "."); ok {
		layout = "2006-01-02T15:04:05." + strings.Repeat("0", len(digits)) + "Z"
	}
	return at.Add(s.by).UTC().Format(layout)
}

// quoted shifts the texts of a JSON value that are times or days.
func (s shifting) quoted(value []byte) []byte {
	return timesOrDay.ReplaceAllFunc(value, func(found []byte) []byte {
		text := strings.Trim(string(found), `"`)
		if day, err := time.Parse(time.DateOnly, text); err == nil {
			return []byte(`"` + day.AddDate(0, 0, s.days).Format(time.DateOnly) + `"`)
		}
		return []byte(`"` + s.whole(text) + `"`)
	})
}

// numbers shifts the epoch milliseconds that LinkedIn and its simulator write.
func (s shifting) numbers(value []byte) []byte {
	return millis.ReplaceAllFunc(value, func(found []byte) []byte {
		parts := millis.FindSubmatch(found)
		at, err := strconv.ParseInt(string(parts[2]), 10, 64)
		if err != nil {
			return found // cannot be: they are digits
		}
		return fmt.Appendf(nil, `"%s":%d`, parts[1], at+s.by.Milliseconds())
	})
}

// lead shifts the second field of a lead, submitted_at, behind the first, lead_id:
// every schema begins with these two.
func (s shifting) lead(value []byte) ([]byte, error) {
	if value == nil {
		return nil, nil
	}
	const head = 5 // a zero byte and the schema's id
	if len(value) < head || value[0] != 0 {
		return nil, fmt.Errorf("the value is not in the Confluent wire format")
	}
	length, n := binary.Varint(value[head:])
	start := head + n + int(length)
	if n <= 0 || length < 0 || start > len(value) {
		return nil, fmt.Errorf("lead_id cannot be read")
	}
	at, n := binary.Varint(value[start:])
	if n <= 0 {
		return nil, fmt.Errorf("submitted_at cannot be read")
	}
	shifted := binary.AppendVarint(value[:start:start], at+s.by.Milliseconds())
	return append(shifted, value[start+n:]...), nil
}

// What a shift leaves as it is matters as much as what it changes.
func TestAShiftedRecordingDiffersInItsTimesAlone(t *testing.T) {
	t.Parallel()
	r := &recording{Left: time.Date(2026, 12, 1, 22, 0, 0, 0, time.UTC)}
	lead := func(at int64) octets {
		v := append([]byte{0, 0, 0, 0, 7}, "\x08id-1"...)
		return append(binary.AppendVarint(v, at), "rest"...)
	}
	const at = 1796162400000 // 2026-12-01T22:00:00Z
	before := []recordLine{
		{Topic: "n.leads.1", Time: at, Key: octets("id-1"), Value: lead(at), Headers: [][2]string{{"leadstream.submitted_at", "2026-12-01T22:00:00.000Z"}, {"leadstream.name", "n"}}},
		{Topic: "n.leads.1", Time: at, Key: octets("id-1")},
		{Topic: "n.leads.1", Time: at, End: "commit", Producer: 7},
		{Topic: "n.checkpoints", Time: at, Key: octets("source/a"), Value: octets(`{"version":1,"live":"2026-12-01T22:00:00.12Z","n":1796162400000}`)},
		{Topic: "n.checkpoints", Time: at, Key: octets("requests"), Value: octets(`{"day":"2026-12-01","before":"2026-11-30"}`)},
		{Topic: "n.checkpoints", Time: at, Key: octets("hours"), Value: octets(`{"first":"2026-12-01T22:00:00Z"}`)},
		{Topic: "n.checkpoints", Time: at, Key: octets("token/2026-12-01T22:00:00.000Z"), Value: octets(`{"sealed":"2026-12-01T22:00:00Z"}`)},
		{Topic: "n.deletions", Time: at, Key: octets("id-1"), Value: octets("2026-12-01T22:00:00Z")},
		{Topic: "n.deadletters", Time: at, Key: octets("id-1@2026-12-01T22:00:00.000Z"), Value: octets(`{"submittedAt":1796162400000,"id":1796162400000}`)},
	}
	const by, shifted = 3*time.Hour + 5*time.Second, at + 10805000
	want := []recordLine{
		{Topic: "n.leads.1", Time: shifted, Key: octets("id-1"), Value: lead(shifted), Headers: [][2]string{{"leadstream.submitted_at", "2026-12-02T01:00:05.000Z"}, {"leadstream.name", "n"}}},
		{Topic: "n.leads.1", Time: shifted, Key: octets("id-1")},
		{Topic: "n.leads.1", Time: shifted, End: "commit", Producer: 7},
		{Topic: "n.checkpoints", Time: shifted, Key: octets("source/a"), Value: octets(`{"version":1,"live":"2026-12-02T01:00:05.12Z","n":1796162400000}`)},
		{Topic: "n.checkpoints", Time: shifted, Key: octets("requests"), Value: octets(`{"day":"2026-12-02","before":"2026-12-01"}`)},
		{Topic: "n.checkpoints", Time: shifted, Key: octets("hours"), Value: octets(`{"first":"2026-12-02T01:00:00Z"}`)},
		{Topic: "n.checkpoints", Time: shifted, Key: octets("token/2026-12-01T22:00:00.000Z"), Value: octets(`{"sealed":"2026-12-01T22:00:00Z"}`)},
		{Topic: "n.deletions", Time: shifted, Key: octets("id-1"), Value: octets("2026-12-02T01:00:05Z")},
		{Topic: "n.deadletters", Time: shifted, Key: octets("id-1@2026-12-02T01:00:05.000Z"), Value: octets(`{"submittedAt":1796173205000,"id":1796162400000}`)},
	}
	r.Records = before
	if err := r.shift(r.Left.Add(by)); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if got, want := text(r.Records[i]), text(want[i]); got != want {
			t.Errorf("record %d is\n%s, want\n%s", i, got, want)
		}
	}
}

package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestErrorsOfGosDecodersAreToldInPlainWords(t *testing.T) {
	var into struct {
		Since time.Time `json:"since"`
		Inner struct {
			Count int `json:"count"`
		} `json:"inner"`
	}
	_, number := strconv.Atoi("4711x")
	_, large := strconv.ParseInt("99999999999999999999", 10, 64)
	_, moment := time.Parse(time.RFC3339, "yesterday")
	other := errors.New("of another kind")
	for _, test := range []struct {
		err  error
		want string
	}{
		{json.Unmarshal([]byte(`[]`), &into), "it is a JSON array, which does not belong there"},
		{json.Unmarshal([]byte(`{"inner":{"count":12345678901234567890}}`), &into), "inner.count is a JSON number, which does not belong there"},
		{json.Unmarshal([]byte(`{"inner":`), &into), "it is not JSON from byte 9 on"},
		{json.Unmarshal([]byte(`{"since":"yesterday"}`), &into), `"yesterday" is no time`},
		{json.Unmarshal([]byte(`{"since":5}`), &into), "a time is a text, written as 2026-11-23T08:00:00Z"},
		{number, `"4711x" is no number`},
		{large, `"99999999999999999999" is too large`},
		{moment, `"yesterday" is no time`},
		{other, "of another kind"},
	} {
		got := Plain(fmt.Errorf("reading it: %w", test.err))
		if text := got.Error(); !strings.HasPrefix(text, "reading it: "+test.want) {
			t.Errorf("%q became %q, want %q", test.err, text, test.want)
		}
		if !errors.Is(got, test.err) {
			t.Errorf("%q lost its chain", test.err)
		}
	}
	if Plain(nil) != nil {
		t.Error("no error became one")
	}
}

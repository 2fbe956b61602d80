package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ErrDuration is in the chain of every error of ParseDuration.
var ErrDuration = errors.New("not a duration")

var days = regexp.MustCompile(`^(\d+)d(.*)$`)

// ParseDuration reads a length of time such as 15m, 36h, 7d or 1d12h. The
// units are d (24 hours), h, m, s and ms; all but 0 need one. A duration is
// never negative and at most 292 years. Every error matches ErrDuration.
func ParseDuration(text string) (time.Duration, error) {
	var whole time.Duration
	rest := text
	if m := days.FindStringSubmatch(text); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil || n > math.MaxInt64/int64(24*time.Hour) {
			return 0, fmt.Errorf("%w: %.40q is too long", ErrDuration, text)
		}
		whole, rest = time.Duration(n)*24*time.Hour, m[2]
		if rest == "" {
			return whole, nil
		}
	}
	part, err := time.ParseDuration(rest)
	switch {
	case err != nil && onlyNumber(text):
		return 0, fmt.Errorf("%w: %.40q has no unit, write for example %ss, %sm, %sh or %sd", ErrDuration, text, text, text, text, text)
	case err != nil:
		return 0, fmt.Errorf("%w: %.40q; the units are d, h, m, s and ms, as in 7d, 36h or 1h30m", ErrDuration, text)
	case part < 0:
		return 0, fmt.Errorf("%w: %.40q is negative", ErrDuration, text)
	case part > math.MaxInt64-whole:
		return 0, fmt.Errorf("%w: %.40q is too long", ErrDuration, text)
	}
	return whole + part, nil
}

func onlyNumber(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil && len(text) <= 20
}

// FormatDuration writes a duration the way ParseDuration reads it, whole
// days of two and more as days and without parts that are zero: 7d, 36h, 1m.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

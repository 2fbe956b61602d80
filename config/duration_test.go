package config

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"36h": 36 * time.Hour, "7d": 7 * day, "15m": 15 * time.Minute, "1d12h": day + 12*time.Hour, "0": 0, "0s": 0,
		"1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond, "2d0s": 2 * day, "106751d": 106751 * day,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "5.5", "d", "1.5d", "-1d", "-1h", "1d-1h", "7 d", "1w", "1h 30m", "106752d", "106751d24h", "99999999999999999999d", "1D", "1e3s"} {
		got, err := ParseDuration(text)
		if got != 0 || !errors.Is(err, ErrDuration) {
			t.Errorf("ParseDuration(%q) = %v, %v, want 0 and ErrDuration", text, got, err)
		}
	}
}

func TestFormatDurationIsShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Minute: "1m", 24 * time.Hour: "24h", 36 * time.Hour: "36h", 168 * time.Hour: "7d",
		90 * time.Second: "1m30s", time.Hour + time.Second: "1h0m1s", 10 * time.Minute: "10m", 10 * time.Second: "10s", 100 * time.Hour: "100h",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}

func FuzzFormattedDurationIsReadBack(f *testing.F) {
	for _, n := range []int64{0, 1, int64(48 * time.Hour), int64(time.Hour + 1), math.MaxInt64} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		if n < 0 {
			return
		}
		text := FormatDuration(time.Duration(n))
		if got, err := ParseDuration(text); err != nil || int64(got) != n {
			t.Errorf("%d is written %q and read as %d, %v", n, text, got, err)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"7d", "1d12h", "", "5", "-1h", "99999999999999999999d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil && (d != 0 || !errors.Is(err, ErrDuration)) || d < 0 {
			t.Errorf("ParseDuration(%q) = %v, %v", text, d, err)
		}
	})
}

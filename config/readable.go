package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Readable refuses settings that name a file which cannot be read, by their keys:
// whoever reads it later knows it by what it holds.
func (c *Config) Readable(keys ...string) error {
	for _, v := range c.Values() {
		if !slices.Contains(keys, v.Key) || v.Value == "" {
			continue
		}
		info, err := os.Stat(v.Value)
		if err == nil && info.Mode().IsRegular() { // a pipe can be opened once
			var f *os.File
			if f, err = os.Open(v.Value); err == nil {
				err = f.Close()
			}
		}
		failed, ok := errors.AsType[*fs.PathError](err)
		switch {
		case ok:
			return fmt.Errorf("%s = %q: %w (%s)", v.Key, v.Value, failed.Err, v.Source)
		case err == nil && info.IsDir():
			return fmt.Errorf("%s = %q: is a directory; name the file in it (%s)", v.Key, v.Value, v.Source)
		}
	}
	return nil
}

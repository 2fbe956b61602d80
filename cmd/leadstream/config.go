package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"leadstream/config"
)

// newConfig is "leadstream config".
func newConfig(a *app) *cobra.Command {
	var example bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "The effective configuration, and where each value came from",
		Long: `Shows every setting with the value in force and the place it came from: a
flag, an environment variable, a line of the file, or the default. Secrets
are redacted. Ends with 2, and with everything that is wrong, when the
configuration is not valid.

To begin a configuration of your own:

  leadstream config --example > leadstream.yaml`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if example {
				_, err := fmt.Fprint(a.stdout, config.Example())
				return err
			}
			return a.showConfig()
		},
	}
	cmd.Flags().BoolVar(&example, "example", false, "print a configuration file with every key, its meaning and its default")
	a.addOutput(cmd)
	return cmd
}

func (a *app) showConfig() error {
	c, warnings, err := a.readConfig()
	for _, w := range warnings {
		fmt.Fprintf(a.stderr, "leadstream: warning: %s\n", w)
	}
	if err != nil {
		return err
	}
	return printList(a, c.Values(), []string{"KEY", "VALUE", "SOURCE"}, func(v config.Value) []string {
		return []string{v.Key, v.Value, v.Source}
	})
}

// readable refuses settings that name a file which cannot be read, by their keys:
// whoever reads it later knows it by what it holds.
func readable(c *config.Config, keys ...string) error {
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
			return usageErrorf("%s = %q: %w (%s)", v.Key, v.Value, failed.Err, v.Source)
		case err == nil && info.IsDir():
			return usageErrorf("%s = %q: is a directory; name the file in it (%s)", v.Key, v.Value, v.Source)
		}
	}
	return nil
}

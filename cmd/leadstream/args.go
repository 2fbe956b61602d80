package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exactly wants these arguments, one of each, and names the one that is missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s lacks its argument %s, see %s --help", cmd.CommandPath(), names[len(args)], cmd.CommandPath())
		case len(args) > len(names):
			return fmt.Errorf("%s takes %s and no argument %q, see %s --help", cmd.CommandPath(), strings.Join(names, " "), args[len(names)], cmd.CommandPath())
		}
		return nil
	}
}

// isForm reports whether text can be the number of a form: LinkedIn's are Java's
// longs from 1 on.
func isForm(text string) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && n > 0 && strconv.FormatInt(n, 10) == text
}

// flagError is an error of a flag without Go's words for numbers.
func flagError(_ *cobra.Command, err error) error {
	invalid, ok := errors.AsType[*pflag.InvalidValueError](err)
	if ok && invalid.GetFlag().Value.Type() == "duration" {
		return fmt.Errorf("--%s is %q, must be a length of time, as 20s, 5m or 1h30m", invalid.GetFlag().Name, invalid.GetValue())
	}
	number, ours := errors.AsType[*strconv.NumError](err)
	if !ok || !ours {
		return err
	}
	kind := "a whole number"
	switch f := invalid.GetFlag(); {
	case f.Value.Type() == "bool":
		kind = "true or false"
	case strings.HasPrefix(f.Value.Type(), "float"):
		kind = "a number"
	case strings.HasPrefix(f.Value.Type(), "uint"):
		kind = "a whole number of 0 or more"
	}
	if errors.Is(number, strconv.ErrRange) {
		return fmt.Errorf("--%s is %q, which is too large", invalid.GetFlag().Name, invalid.GetValue())
	}
	return fmt.Errorf("--%s is %q, must be %s", invalid.GetFlag().Name, invalid.GetValue(), kind)
}

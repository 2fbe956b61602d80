package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestEveryWarningSaysWhatToDo: whoever is paged reads one line, and that line has
// the field todo. The connector's Issues add it themselves.
func TestEveryWarningSaysWhatToDo(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (strings.HasPrefix(e.Name(), ".") && path != ".." || e.Name() == "testdata" || e.Name() == "bench"):
			return filepath.SkipDir
		case e.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !warns(call) {
				return true
			}
			seen++
			if !saysTodo(call) {
				t.Errorf("%s: this line of the log does not say what to do: add the field todo", files.Position(call.Pos()))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Errorf("only %d warnings and errors were found: this test does not see them", seen)
	}
}

// warns reports whether a call writes a warning or an error to a logger, or a line
// of a level that is found out.
func warns(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 {
		return false
	}
	message := call.Args[0]
	switch method.Sel.Name {
	case "Warn", "Error":
	case "Log":
		if len(call.Args) < 2 {
			return false
		}
		message = call.Args[1]
	default:
		return false
	}
	if text, ok := message.(*ast.BasicLit); ok {
		return text.Kind == token.STRING
	}
	_, named := message.(*ast.Ident)
	return named && method.Sel.Name == "Log"
}

// saysTodo reports whether one of the fields is todo, or all of them are given.
func saysTodo(call *ast.CallExpr) bool {
	if call.Ellipsis.IsValid() {
		return true
	}
	for _, arg := range call.Args {
		field, ok := arg.(*ast.CallExpr)
		if !ok {
			continue
		}
		if name, ok := field.Fun.(*ast.Ident); ok && name.Name == "todoField" {
			return true
		}
		if len(field.Args) == 0 {
			continue
		}
		if key, ok := field.Args[0].(*ast.BasicLit); ok && key.Value == strconv.Quote("todo") {
			return true
		}
	}
	return false
}

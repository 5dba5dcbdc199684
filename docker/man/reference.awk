# docker/popbridge.yaml -> popbridge.yaml(5): awk -f reference.awk -v version=V popbridge.yaml
#
# The comment above a setting is its text; "#key:" without a blank is a setting too. A
# setting without a comment above is an example and left out. The file's first comment, up
# to a blank line, is the description; its paragraphs stand between lines of a lone "#".

function roff(text) {
	gsub(/\\/, "\\e", text)
	gsub(/-/, "\\-", text)
	return text ~ /^[.']/ ? "\\&" text : text
}

function paragraphs(text,    part, count, i) {
	count = split(text, part, "\n")
	for (i = 1; i <= count; i++) {
		if (i > 1)
			print part[i] == "" ? ".PP" : roff(part[i])
		else if (part[i] != "")
			print roff(part[i])
	}
}

# Cuts the path to those keys that stand further to the left, and adds this one.
function place(column, name) {
	while (depth > 0 && columns[depth] >= column)
		depth--
	depth++
	columns[depth] = column
	names[depth] = name
	path = names[1]
	for (i = 2; i <= depth; i++)
		path = path (lists[i - 1] ? "[]." : ".") names[i]
}

function setting(line,    column, dash, name, value) {
	match(line, /^ */)
	column = RLENGTH
	line = substr(line, column + 1)
	dash = sub(/^- /, "", line)
	name = line
	sub(/:.*/, "", name)
	value = substr(line, length(name) + 2)
	sub(/^ +/, "", value)
	sub(/ +#.*/, "", value)
	if (dash) {
		for (i = depth; i > 0 && columns[i] >= column; i--)
			continue
		lists[i] = 1
		column += 2
	}
	place(column, name)
	lists[depth] = 0
	if (text == "")
		return
	print ".TP"
	printf ".B %s\n", roff(path)
	if (value != "")
		printf ".RI ( %s )\n.br\n", quoted(value)
	paragraphs(text)
	text = ""
}

function quoted(value) {
	gsub(/"/, "\\(dq", value)
	gsub(/-/, "\\-", value)
	return "\"" value "\""
}

NR == 1 {
	printf ".TH POPBRIDGE.YAML 5 \"\" \"popbridge %s\" \"File formats\"\n", version
	print ".SH NAME\npopbridge.yaml \\- the configuration of popbridge"
	print ".SH SYNOPSIS\n.I /etc/popbridge/popbridge.yaml\n.SH DESCRIPTION"
}

!described && /^$/ {
	paragraphs(text)
	text = ""
	described = 1
	print ".SH SETTINGS"
	next
}

/^ *# / || /^ *#$/ {
	sub(/^ *# ?/, "")
	text = text (text == "" ? "" : "\n") $0
	next
}

/^$/ {
	text = ""
	next
}

/^ *#/ {
	sub(/#/, "") # "  #key: value": where it would stand without the mark
}

{
	setting($0)
}

END {
	print ".SH SEE ALSO\n.BR popbridge (8)"
}

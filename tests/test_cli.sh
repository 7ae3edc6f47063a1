#!/bin/sh
# Tests of the command-line tool: bad input, round trips, .npy files, line ends, full disks, JSON.
#   sh tests/test_cli.sh [build/cvxrelu]        run in the root of the project; POSIX sh, awk, cmp
# Prints FAIL lines (and ok lines with -v) and ends with 'N passed, N failed, N skipped'.

loud=0
[ "$1" = "-v" ] && { loud=1; shift; }
tool=${1:-build/cvxrelu}
case $tool in /*) ;; *) tool=$PWD/$tool ;; esac
data=$PWD/examples/data
[ -x "$tool" ] || { echo "FAIL $tool is not there: run make first"; exit 1; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/cvxrelu_cli.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
passed=0 failed=0 skipped=0

ok()   { passed=$((passed + 1)); [ $loud = 1 ] && echo "ok $1"; return 0; }
fail() { failed=$((failed + 1)); echo "FAIL $1"; [ -n "$2" ] && echo "     $2"; return 0; }
skip() { skipped=$((skipped + 1)); echo "skip $1"; }
check() { name=$1; shift; if "$@" >check.out 2>&1; then ok "$name"; else fail "$name" "$(head -n 3 check.out)"; fi; }

# good NAME ARGS...: exit 0 and nothing on stderr
good() {
    name=$1; shift
    "$tool" "$@" >out 2>err; status=$?
    if [ $status = 0 ] && [ ! -s err ]; then ok "$name"; else fail "$name" "exit $status: $(head -n 1 err)"; fi
}

# bad NAME STATUS WORDS ARGS...: that exit status, one line on stderr holding WORDS, nothing on
# stdout, the files kept.* untouched and no file left behind
bad() {
    name=$1 want=$2 words=$3; shift 3
    echo old >kept.model; echo old >kept.json; echo old >kept.csv
    "$tool" "$@" >out 2>err; status=$?
    why=
    [ $status = "$want" ] || why="exit $status, not $want"
    [ "$(wc -l <err)" -eq 1 ] || why="$why; $(wc -l <err) lines on stderr"
    grep -q -- "$words" err || why="$why; no '$words' in: $(head -n 1 err)"
    [ -s out ] && why="$why; something on stdout"
    for f in kept.model kept.json kept.csv; do
        [ "$(cat $f)" = old ] || why="$why; $f was written"
        [ -e $f.tmp ] && { why="$why; $f.tmp was left"; rm -f $f.tmp; }
    done
    if [ -z "$why" ]; then ok "$name"; else fail "$name" "$why"; fi
}
outs="--save kept.model --json kept.json --patterns 20"
table() { printf "$1" >t.csv; }
bad_table() { table "$3"; bad "$1" 2 "$2" train t.csv $outs; }

# field FILE KEY: the value of the first member of that name
field() { sed -n "s/^ *\"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$1" | head -n 1; }
near() { awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; s = b < 0 ? -b : b; if (s < 1e-300) s = 1;
    exit !(a != "" && b != "" && d <= t * s && -d <= t * s) }'; }

# ---- Words of the command line
bad "no_command_is_bad_usage" 2 "no command"
bad "an_unknown_command_is_named" 2 "frobnicate" frobnicate
bad "an_unknown_option_is_named" 2 "--frobnicate" train t.csv --frobnicate
bad "an_option_of_another_command_is_named" 2 "--out" train t.csv --out x
bad "a_short_option_is_unknown" 2 "-x" train t.csv -x
bad "a_missing_value_is_named" 2 "--lambda" train t.csv --lambda
bad "a_flag_takes_no_value" 2 "--quiet" train t.csv --quiet=1
bad "export_is_not_available_yet" 2 "not available yet" export m --to onnx f
bad "other_losses_are_not_available_yet" 2 "--loss hinge" train "$data/wine.csv" --loss hinge $outs
bad "search_excludes_no_search" 2 "--search" train "$data/wine.csv" --search --no-search $outs
bad "search_belongs_to_relu" 2 "--search: goes with --model relu only" train "$data/wine.csv" --model gated --search $outs
bad "exact_belongs_to_relu" 2 "--exact: goes with --model relu only" train "$data/wine.csv" --model gated --exact
bad "al_belongs_to_relu" 2 "--solver al: goes with --model relu only" train "$data/wine.csv" --model gated --solver al $outs
bad "fista_belongs_to_gated" 2 "--solver fista: goes with --model gated only" train "$data/wine.csv" --solver fista $outs
bad "other_penalties_belong_to_gated" 2 "--penalty: goes with --model gated only" train "$data/wine.csv" --penalty l1 $outs
bad "float32_belongs_to_gated" 2 "--precision float32: goes with --model gated" train "$data/wine.csv" --precision float32 $outs
bad "exact_excludes_patterns" 2 "--exact: takes all patterns" train "$data/wine.csv" --exact $outs
bad "a_width_needs_the_search" 2 "--width: needs a pattern search" train "$data/wine.csv" --no-search --width 5 $outs
bad "rounds_need_the_search" 2 "--rounds: needs a pattern search" train "$data/wine.csv" --exact --rounds 5
bad "given_gates_need_search_for_rounds" 2 "--gates needs --search" train "$data/wine.csv" --gates g.npy --rounds 5
bad "al_options_need_al" 2 "--al-delta: needs --solver al" train "$data/wine.csv" --al-delta 5 $outs
bad "al_delta_is_positive" 2 "--al-delta 0: must be greater than 0" train "$data/wine.csv" --al-delta 0 $outs
bad "decompose_excludes_gated" 2 "--decompose: .* excludes --model gated" train "$data/wine.csv" --decompose min-norm --model gated $outs
bad "decompose_excludes_search" 2 "--search: --decompose" train "$data/wine.csv" --decompose min-norm --search $outs
bad "decompose_excludes_path" 2 "--decompose: .*--path" train "$data/wine.csv" --decompose min-norm --path 3 $outs
bad "an_unknown_decomposition_is_named" 2 "--decompose magic: must be one of" train "$data/wine.csv" --decompose magic $outs
bad "rho_needs_approximate" 2 "--rho: needs --decompose approximate" train "$data/wine.csv" --decompose min-norm --rho 1 $outs
bad "method_excludes_search" 2 "--method: .* excludes --search" train "$data/wine.csv" --method adam --search $outs
bad "epochs_need_a_method" 2 "--epochs: needs --method" train "$data/wine.csv" --epochs 5 $outs
bad "an_unknown_method_is_named" 2 "--method magic: must be one of adam, sgd, adagrad" train "$data/wine.csv" --method magic $outs
bad "a_momentum_of_1_is_refused" 2 "--momentum 1: must be 0 or greater, below 1" train "$data/wine.csv" --method sgd --momentum 1 $outs
bad "a_search_takes_no_start" 2 "--start: a search begins by itself" train "$data/wine.csv" --start w.model $outs
bad "relu_needs_a_strength" 2 "^cvxrelu: --lambda is 0" train "$data/wine.csv" --lambda 0 $outs
bad "an_unknown_model_is_named" 2 "--model linear: must be one of relu, gated" train "$data/wine.csv" --model linear $outs
bad "an_unknown_solver_is_named" 2 "--solver magic: must be one of" train "$data/wine.csv" --solver magic $outs
bad "zero_patterns_are_refused" 2 "--patterns 0" train "$data/wine.csv" --save kept.model --patterns 0
bad "patterns_that_overflow_are_refused" 2 "99: must be a whole number from 1 to 2147483647" train "$data/wine.csv" --patterns 99999999999999999999
bad "patterns_must_be_a_whole_number" 2 "--patterns 1e3: must be a whole number from 1 to" train "$data/wine.csv" --patterns 1e3
bad "folds_must_be_a_whole_number" 2 "--cv 2.5: must be a whole number from 2 to" train "$data/wine.csv" --cv 2.5
bad "too_many_folds_blame_the_option" 2 "^cvxrelu: --cv is 1000: it must be" train "$data/wine.csv" --cv 1000 $outs
bad "too_many_threads_are_refused" 2 "--threads 2000: must be a whole number from 1 to 1024" train "$data/wine.csv" --threads 2000
bad "a_tolerance_of_2_is_refused" 2 "--tol 2: must be a number from 0 to 1" train "$data/wine.csv" --tol 2
bad "a_wrong_order_blames_the_sampler" 2 "^cvxrelu: --sampler is 200" train "$data/wine.csv" --sampler sparse:200 $outs
bad "a_stopped_cross_validation_failed" 1 "^cvxrelu: --time-limit of" train "$data/wine.csv" --cv 3 --time-limit 1e-9 $outs
bad "the_l2_penalty_has_no_path" 2 "--penalty l2" train "$data/wine.csv" --penalty l2 --path 3 $outs
bad "a_negative_lambda_is_refused" 2 "--lambda -1" train "$data/wine.csv" --lambda -1 $outs
bad "a_lambda_of_text_is_refused" 2 "--lambda 1x" train "$data/wine.csv" --lambda 1x $outs
bad "a_nan_lambda_is_refused" 2 "--lambda nan" train "$data/wine.csv" --lambda nan $outs
bad "a_negative_tolerance_is_refused" 2 "--tol -1" train "$data/wine.csv" --tol -1 $outs
bad "a_split_of_1_is_refused" 2 "--split 1" train "$data/wine.csv" --split 1 $outs
bad "an_active_share_of_2_is_refused" 2 "--active-share 2" train "$data/wine.csv" --active-share 2 $outs
bad "one_fold_is_refused" 2 "--cv 1" train "$data/wine.csv" --cv 1 $outs
bad "zero_threads_are_refused" 2 "--threads 0" train "$data/wine.csv" --threads 0 $outs
bad "a_negative_seed_is_refused" 2 "--seed -3" train "$data/wine.csv" --seed -3 $outs
bad "a_wrong_sampler_is_refused" 2 "--sampler sparse:0" train "$data/wine.csv" --sampler sparse:0 $outs
bad "patches_that_do_not_fit_are_refused" 2 "" train "$data/wine.csv" --sampler patch:5x5:3 $outs
bad "standard_scale_needs_the_bias" 2 "--scale standard" train "$data/wine.csv" --scale standard --no-bias $outs
bad "test_excludes_split" 2 "--test" train "$data/wine.csv" --test a --split 0.1 $outs
bad "x_needs_y" 2 "--x" train --x a.npy $outs
bad "two_data_files_are_one_too_many" 2 "one data file" train a.csv b.csv $outs
bad "a_missing_file_is_named" 2 "nowhere.csv" train nowhere.csv $outs
bad "a_folder_is_no_data_file" 2 "$data" train "$data" $outs
bad "an_unknown_target_is_named" 2 "--target height" train "$data/wine.csv" --target height $outs
bad "a_small_memory_limit_names_both_numbers" 1 "1024" train "$data/wine.csv" --memory-limit 1K $outs
bad "an_unwritable_place_is_found" 1 "no/such/place" train "$data/wine.csv" --save no/such/place/m --json kept.json
bad "one_name_for_two_outputs_is_refused" 2 "kept.json" train "$data/wine.csv" --save kept.json --json kept.json
good "version_is_printed" --version
check "version_has_a_number" grep -q '^cvxrelu [0-9]' out
good "help_is_printed" --help
for c in train path predict certify verify info; do good "help_of_$c" $c --help; done
"$tool" train --help >out
for word in "begin with #" "missing values" "quoting" "--no-header when" "(c x P x d)" "m x (d+1)" "(c x m)"; do
    check "help_of_train_has_$word" grep -q -- "$word" out
done

# ---- Tables that are wrong
bad_table "an_empty_file" "t.csv: is empty" ""
bad_table "comments_alone_are_empty" "t.csv: is empty" "# a\n\n# b\n"
bad_table "a_header_alone" "header" "a,b,y\n"
bad_table "one_column" "line 1: one column" "1\n2\n"
bad_table "a_missing_cell" "t.csv: line 3, column 2 (b): the cell is missing" "a,b,y\n1,2,3\n4,,6\n"
bad_table "a_missing_target" "t.csv: line 3, column 3 (y): the cell is missing" "a,b,y\n1,2,3\n4,5,\n"
bad_table "a_short_line" "t.csv: line 3, column 3: ragged" "a,b,y\n1,2,3\n4,5\n"
bad_table "a_long_line" "t.csv: line 4, column 4: ragged" "a,b,y\n1,2,3\n4,5,6\n7,8,9,10\n"
bad_table "text_in_a_number" "t.csv: line 3, column 1 (a): text where a number is expected: 'abc'" "a,b,y\n1,2,3\nabc,5,6\n"
bad_table "a_number_with_a_tail" "line 2, column 2" "1,2,3\n4,5x,6\n"
bad_table "a_header_with_a_number_is_hinted_at" "--header" "1,2,3,t\n4,5,6,7\n1,2,3,8\n"
bad_table "a_header_of_numbers_and_words" "line 1, column 2: .*--header" "1,b,3\n4,5,6\n"
bad_table "a_hexadecimal_number" "line 2, column 2" "1,2,3\n4,0x10,6\n"
bad_table "nan" "t.csv: line 2, column 2: the value is NaN or infinite" "1,2,3\n4,NaN,6\n"
bad_table "infinity" "t.csv: line 2, column 1: the value is NaN or infinite" "1,2,3\n-inf,5,6\n"
bad_table "a_number_that_overflows" "t.csv: line 2, column 1: the value is NaN or infinite" "1,2,3\n1e999,5,6\n"
bad_table "nan_in_the_target" "line 2, column 3" "1,2,3\n4,5,nan\n"
bad_table "text_among_numbers_in_the_target" "line 3, column 3" "1,2,0\n4,5,1\n4,5,one\n"
bad_table "one_class_only" "class 'k'" "1,2,k\n4,5,k\n"
bad_table "an_open_quote" "line 2, column 1: a quoted cell has no closing quote" "1,2,3\n\"4,5,6\n"
bad_table "text_after_a_quote" "line 2, column 1: text after a closing quote" "1,2,3\n\"4\"x,5,6\n"
bad_table "zero_bytes" "zero bytes" "1,2\\0003\n"
awk 'BEGIN { printf "1,2,3\n4,"; for (i = 0; i < 5000; i++) printf "9"; print ",6" }' >t.csv
bad "a_huge_cell" 2 "line 2, column 2: a cell is longer" train t.csv $outs
table "1,2,0.5\n4,5,1\n7,8,2\n"
bad "classes_must_be_integers" 2 "line 1, column 3: a class must be" train t.csv --classes $outs
table "1,2,a\n4,5,b\n7,8,a\n"
bad "raw_targets_must_be_numbers" 2 "line 1, column 3" train t.csv --raw-targets $outs
bad "classes_are_not_centred" 2 "--centre" train t.csv --centre $outs
table "1,2,a\n4,5,b\n7,8,c\n"; printf '1,2,d\n' >u.csv
bad "a_test_label_without_a_class" 2 "u.csv: line 1, column 3: no class" train t.csv --test u.csv $outs
printf '1,2,3,4,a\n' >u.csv
bad "a_test_file_of_another_width" 2 "u.csv: line 1: 5 columns" train t.csv --test u.csv $outs

# ---- Tables that are fine
objective() { "$tool" train "$@" --no-search --patterns 30 --quiet --json o.json >out 2>err && field o.json objective; }
same() { a=$(objective t.csv) b=$(objective u.csv); if [ -n "$a" ] && [ "$a" = "$b" ]; then ok "$1"; else fail "$1" "$a and $b: $(head -n 1 err)"; fi; }
table "a,b,y\n1,2,0.5\n4,-5,1.5\n-7,8,2\n3,1,0\n"
printf 'a,b,y\r\n1,2,0.5\r\n4,-5,1.5\r\n-7,8,2\r\n3,1,0\r\n' >u.csv;  same "windows_line_ends"
printf '\357\273\277a,b,y\n1,2,0.5\n4,-5,1.5\n-7,8,2\n3,1,0' >u.csv;  same "byte_order_mark_and_no_last_line_end"
printf 'a;b;y\n1;2;0.5\n4;-5;1.5\n-7;8;2\n3;1;0\n' >u.csv;            same "semicolons"
printf '1\t2\t0.5\n4\t-5\t1.5\n-7\t8\t2\n3\t1\t0\n' >u.csv;           same "tabs_without_a_header"
printf '# c\n\na,b,y\n 1, 2 ,0.5\n# c\n4,-5,1.5\n-7,8,2\n3,1,0\n\n' >u.csv; same "comments_and_blanks"
printf '"a","b","y"\n"1",2,0.5\n4,"-5",1.5\n-7,8,2\n+3,1e0,0\n' >u.csv; same "quoted_cells"
printf 'y,b,a\n0.5,2,1\n1.5,-5,4\n2,8,-7\n0,1,3\n' >u.csv
said() { name=$1 words=$2; shift 2; "$tool" "$@" >out 2>err; check "$name" grep -Eq -- "$words" out; }
printf 'a,b,y\n1,2,0.5\n#4,5,1\n#9,9,1\n3,1,0.2\n' >k.csv
said "skipped_lines_among_data_are_noted" "note .*k.csv: 2 lines beginning with # were" train k.csv --patterns 20
printf '#a,b,y\n1,2,0.5\n3,1,0.2\n' >k.csv
said "a_comment_on_the_first_line_is_noted" "note .*k.csv: 1 line beginning with # was" train k.csv --patterns 20
printf 'a,t\n1,0.5\n3,0.25\n' >k.csv
said "a_number_is_a_number" "target +t: a number, centred" train k.csv --patterns 20
check "one_feature_is_singular" grep -q "2 rows, 1 feature$" out
printf 'a,t\n1,2\n5,2\n7,2\n' >k.csv
said "a_constant_target_is_explained" "features say nothing about the target" train k.csv --patterns 20
a=$("$tool" train u.csv --target y --patterns 30 --quiet --json - | grep -c '"features": 2')
if [ "$a" = 1 ]; then ok "target_by_name"; else fail "target_by_name"; fi
good "the_table_on_standard_input" train - --patterns 30 <t.csv
table "1,2,0.5\n1,2,0.5\n1,2,0.7\n4,5,1.5\n"; good "duplicate_rows" train t.csv --patterns 20
table "1,2,3,4,0.5\n4,3,2,0,1.5\n";           good "fewer_rows_than_columns" train t.csv --patterns 20
table "1,2,0.5\n";                            good "one_row" train t.csv --patterns 20
table "1,2,3\n4,5,3\n0,1,3\n";                good "a_constant_target" train t.csv --patterns 20
table "1,0,3.5\n4,0,3\n2,0,1.5\n0,0,1\n";     good "a_zero_column" train t.csv --patterns 20
good "a_zero_column_under_unit_scale" train t.csv --patterns 20 --scale unit --no-bias
table "1,2,0\n4,5,1\n7,1,a\n3,1,a\n"; good "classes_of_mixed_words" train t.csv --classes --patterns 20

# ---- Round trips of gated networks
gated="--model gated"
good "train_and_save" train "$data/wine.csv" $gated --patterns 100 --save w.model --json w.json --save-convex conv --save-network net
good "certify_confirms" certify w.model "$data/wine.csv" --json c.json
check "certify_recomputes_the_objective" near "$(field c.json objective)" "$(field w.json objective)" 1e-9
check "the_gap_is_below_1e-6" near "$(field w.json gap)" 0 1e-6
check "the_recomputed_gap_is_below_1.01e-6" near "$(field c.json gap)" 0 1.01e-6
good "verify_is_certify" verify w.model "$data/wine.csv" --quiet
good "info_is_printed" info w.model
good "info_as_json" info w.model --json -
good "predict_into_a_file" predict w.model "$data/wine.csv" --out p.csv
check "predict_has_a_header" grep -q '^label,score_class_0,score_class_1,score_class_2$' p.csv
check "predict_has_a_line_for_each_row" [ "$(wc -l <p.csv)" -eq 179 ]
acc=$(paste -d, "$data/wine.csv" p.csv | awk -F, 'NR > 1 { n++; r += $14 == $15 } END { printf "%.17g", r / n }')
check "predicted_labels_have_the_reported_accuracy" near "$acc" "$(field w.json train_accuracy)" 1e-12
"$tool" train "$data/wine.csv" $gated --patterns 100 --save w2.model --quiet
check "the_same_run_gives_the_same_bytes" cmp w.model w2.model
"$tool" train "$data/wine.csv" $gated --patterns 100 --save w2.model --threads 3 --quiet
check "threads_do_not_change_the_bytes" cmp w.model w2.model
"$tool" train "$data/wine.csv" $gated --patterns 20 --threads 2 --json t.json >out 2>err
t=$(field t.json threads)
if [ "$t" = 2 ] && [ ! -s err ]; then ok "threads_are_reported"
elif [ "$t" = 1 ] && grep -q "built without OpenMP: one thread" err; then ok "threads_are_reported"
else fail "threads_are_reported" "$t: $(cat err)"; fi
for f in conv/U conv/G net/W1 net/W2 net/G1 net/b2; do check "npy_${f#*/}_is_written" [ -s $f.npy ]; done
awk -F, -v OFS=, '{ t = $1; $1 = $13; $13 = t; print }' "$data/wine.csv" >swapped.csv
"$tool" predict w.model swapped.csv >p2.csv
check "columns_are_found_by_name" cmp p.csv p2.csv
cut -d, -f1-13 "$data/wine.csv" >nolabel.csv
"$tool" predict w.model nolabel.csv >p2.csv
check "predict_needs_no_target" cmp p.csv p2.csv
bad "certify_needs_a_target" 2 "no target" certify w.model nolabel.csv --json kept.json
cut -d, -f2-14 "$data/wine.csv" >short.csv
bad "a_missing_feature_is_named" 2 "alcohol" predict w.model short.csv --out kept.csv
sed '5s/14\.[0-9]*/13/' "$data/wine.csv" >other.csv
bad_data() { "$tool" certify w.model other.csv >out 2>err; [ $? = 1 ] && grep -q "not confirmed" err; }
check "certify_denies_other_data" bad_data
head -n 100 "$data/wine.csv" >short.csv
bad "certify_wants_all_rows" 2 "99 rows" certify w.model short.csv --json kept.json
good "a_split_model" train "$data/wine.csv" $gated --patterns 50 --split 0.25 --seed 5 --save s.model --json s.json
check "a_split_reports_a_test_accuracy" [ -n "$(field s.json test_accuracy)" ]
good "certify_splits_again" certify s.model "$data/wine.csv" --split 0.25
good "a_stripped_model" train "$data/wine.csv" $gated --patterns 50 --save x.model --strip
good "certify_a_stripped_model" certify x.model "$data/wine.csv"
check "it_says_kept_gates" grep -q "kept" out
good "a_start_from_a_model" train "$data/wine.csv" $gated --patterns 100 --lambda 0.0005max --start w.model
good "a_time_limit" train "$data/breast_cancer.csv" $gated --lambda 1e-6 --tol 0 --time-limit 0.05 --json l.json
check "the_run_says_why_it_stopped" grep -Eq '"stop": "(time|stalled|gap)"' l.json
good "a_path" train "$data/wine.csv" $gated --patterns 50 --path 4 --split 0.3 --json q.json
said "a_limit_says_what_was_not_reached" "gap of [0-9.e+-]+ did not reach the tolerance of 1e-06" train "$data/wine.csv" $gated --patterns 50 --max-iters 1
check "a_gap_near_1_is_not_proven" grep -q "not proven: gap [0-9.]* %" out
if [ "$(timeout --preserve-status -s INT 0.1 sleep 1 2>&1; echo $?)" = 130 ]; then
    timeout --preserve-status -s INT 0.3 "$tool" train "$data/breast_cancer.csv" $gated --patterns 4000 --lambda 1e-7 --tol 0 --save i.model >out 2>err; status=$?
    if [ $status = 1 ] && [ -s i.model ] && [ "$(wc -l <err)" -eq 1 ] && grep -q "interrupted" err; then ok "an_interrupt_saves_and_fails"
    else fail "an_interrupt_saves_and_fails" "exit $status: $(cat err)"; fi
else skip "an_interrupt_saves_and_fails"; fi
check "the_path_has_4_entries" [ "$(grep -c '"lambda":' q.json)" -eq 5 ]
good "the_path_command" path "$data/wine.csv" $gated --patterns 50 --path 3
good "a_cross_validation" train "$data/wine.csv" $gated --patterns 50 --cv 3 --path 4 --json v.json
check "the_cross_validation_is_reported" grep -q '"chosen"' v.json
good "lambda_0" train "$data/wine.csv" $gated --patterns 20 --lambda 0 --json z.json
check "lambda_0_has_no_bound" grep -q '"dual_bound": null' z.json
check "lambda_0_has_stationarity" near "$(field z.json stationarity)" 0 1e-5
good "lambda_above_max" train "$data/wine.csv" $gated --patterns 20 --lambda 2max --json z.json
check "lambda_above_max_gives_no_neuron" [ "$(field z.json neurons)" = 0 ]
for p in feature l1 l2; do good "penalty_$p" train "$data/wine.csv" $gated --patterns 10 --penalty $p --lambda 0.1max --tol 1e-3; done
good "fista" train "$data/wine.csv" $gated --patterns 20 --solver fista --lambda 0.1max --precision float32 --tol 1e-4

# Regression: the mean squared error from predict equals the reported one; b2 holds the mean.
awk 'BEGIN { for (i = 0; i < 40; i++) { x = (i * 7919 % 101) / 50 - 1; z = (i * 104729 % 97) / 48 - 1;
    printf "%.6f,%.6f,%.6f\n", x, z, 100 + (x > 0 ? x : 0) - 2 * z * z } }' >r.csv
good "a_regression" train r.csv $gated --patterns 60 --save r.model --json r.json --save-network rnet
"$tool" predict r.model r.csv >rp.csv
mse=$(sed 1d rp.csv | paste -d, r.csv - | awk -F, '{ s += ($3 - $4) ^ 2 } END { printf "%.17g", s / NR }')
check "predicted_values_have_the_reported_error" near "$mse" "$(field r.json train_mse)" 1e-9
check "predict_values_have_a_header" [ "$(head -n 1 rp.csv)" = value ]
check "b2_is_written_for_centred_targets" [ -s rnet/b2.npy ]
"$tool" train "$data/wine.csv" $gated --patterns 20 --quiet --save-network rnet
check "b2_of_other_weights_is_written_over" cmp net/b2.npy rnet/b2.npy
good "certify_a_regression" certify r.model r.csv

# ---- ReLU networks. The five points of [PE20 Fig. 2], beta = n lambda = 0.3, whose optimum is known
printf -- '-2,1\n-1,-1\n0,1\n1,1\n2,-1\n' >five.csv
five="train five.csv --scale none --raw-targets --lambda 0.06"
good "the_exact_optimum" $five --exact --save e.model --json e.json --save-network enet --save-convex econv
check "it_is_the_known_one" near "$(field e.json objective)" 0.391092028 1e-6
check "its_bound_is_over_all_patterns" [ "$(field e.json bound_scope)" = all_patterns ]
check "it_has_nine_patterns" [ "$(field e.json patterns)" = 9 ]
check "relu_is_named" [ "$(field e.json model)" = relu ]
check "constraints_hold" near "$(field e.json constraint_violation)" 0 1e-10
for f in econv/V econv/W econv/G enet/W1 enet/W2 enet/b2; do check "npy_${f#*/}_of_relu_is_written" [ -s $f.npy ]; done
check "a_relu_network_has_no_gates" [ ! -e enet/G1.npy ]
good "certify_proves_the_exact_optimum" certify e.model five.csv --json ec.json --save e2.model
check "the_proof_is_almost_tight" awk -v g="$(sed -n 's/^ *"best_gap": \(.*\),/\1/p' ec.json)" 'BEGIN { exit !(g != "" && g <= 0.01) }'
good "a_saved_proof_is_checked" certify e2.model five.csv --json ec2.json
check "it_says_so" grep -q '"from_saved_proof": true' ec2.json
said "info_knows_the_proof" "^proof .*over all patterns" info e2.model
for b in weighted cones exact enumerate none; do good "bound_$b" certify e.model five.csv --bound $b --quiet; done
bad "an_unknown_bound_is_named" 2 "--bound magic: must be one of auto, weighted" certify e.model five.csv --bound magic --json kept.json
bad "no_bound_is_no_proof" 2 "--save: keeps a proof" certify e.model five.csv --bound none --save kept.model
good "predict_with_relu" predict e.model five.csv --out ep.csv
mse=$(sed 1d ep.csv | paste -d, five.csv - | awk -F, '{ s += ($2 - $3) ^ 2 } END { printf "%.17g", s / NR }')
check "relu_values_have_the_reported_error" near "$mse" "$(field e.json train_mse)" 1e-9
good "the_search_is_the_default" $five --width 50 --search-steps 500 --json s5.json
check "it_reaches_the_optimum" near "$(field s5.json objective)" "$(field e.json objective)" 1e-4
check "it_reports_itself" [ "$(field s5.json search)$(field s5.json rounds | sed 's/[0-9]*/1/')" = on1 ]
check "it_reports_the_descent" [ -n "$(field s5.json descent_objective)" ]
good "given_gates_are_not_searched" $five --gates-scaled econv/G.npy --json g5.json
check "they_are_kept" [ "$(field g5.json search)$(field g5.json patterns)" = off9 ]
check "and_give_the_same_optimum" near "$(field g5.json objective)" "$(field e.json objective)" 2e-6
good "given_gates_may_be_searched_from" $five --gates-scaled econv/G.npy --search --quiet
good "the_augmented_lagrangian" $five --no-search --solver al --patterns 50 --json al.json
check "it_is_feasible" near "$(field al.json constraint_violation)" 0 1e-10
check "it_is_named" [ "$(field al.json solver)" = al ]
good "its_fixed_delta" $five --no-search --solver al --al-delta 10 --patterns 50 --quiet
good "pruning" $five --no-search --patterns 50 --prune --json pr.json --save pr.model
check "pruning_counts" [ -n "$(field pr.json neurons_before_pruning)" ]
good "a_pruned_model_is_confirmed" certify pr.model five.csv --bound none
awk 'BEGIN { for (i = 0; i < 4; i++) { for (j = 0; j < 6; j++) printf "%.4f,", (7919 * (6 * i + j) % 101) / 50 - 1;
    print i % 3 - 0.5 } }' >wide.csv
for k in min-norm feasible approximate closed-form; do
    if [ $k = closed-form ]; then t=wide.csv; else t=r.csv; fi
    good "decompose_$k" train $t --patterns 20 --lambda 0.05 --decompose $k --json dk.json --save dk.model
    check "decompose_${k}_is_relu" [ "$(field dk.json model)" = relu ]
    check "decompose_${k}_is_feasible" near "$(field dk.json constraint_violation)" 0 1e-10
    good "decompose_${k}_is_confirmed" certify dk.model $t --bound none
done
bad "the_closed_form_needs_independent_rows" 2 "" train r.csv --decompose closed-form --lambda 0.05 $outs
"$tool" train r.csv --patterns 20 --lambda 0.05 --decompose min-norm --save-convex econv --save-network rnet --quiet
check "no_weights_of_another_kind_stay" [ ! -e econv/U.npy ] && check "nor_gates" [ ! -e rnet/G1.npy ]
good "relu_classes" train "$data/wine.csv" --no-search --patterns 60 --save rw.model --json rw.json
good "certify_relu_classes" certify rw.model "$data/wine.csv" --json rwc.json
check "the_weighted_bound_is_below" awk -v o="$(field rw.json objective)" -v b="$(sed -n '/all_patterns"/,$s/^ *"dual_bound": \(.*\),/\1/p' rwc.json)" 'BEGIN { exit !(b > 0 && b <= o * (1 + 1e-9)) }'
good "a_stripped_relu_model" train "$data/wine.csv" --no-search --patterns 60 --save rx.model --strip --quiet
good "certify_a_stripped_relu_model" certify rx.model "$data/wine.csv" --bound none
good "a_relu_start" train "$data/wine.csv" --no-search --patterns 60 --lambda 0.0005max --start rw.model --quiet
bad "a_start_of_another_kind" 2 "--start is another kind" train "$data/wine.csv" --model gated --patterns 60 --start rw.model --save kept.model
good "a_relu_path" path r.csv --no-search --patterns 30 --path 3 --quiet
good "a_relu_cross_validation" train r.csv --no-search --patterns 30 --cv 3 --path 3 --quiet
said "info_of_relu" "^model .*: ReLU, " info rw.model

for m in adam sgd adagrad; do
    good "method_$m" $five --method $m --width 50 --epochs 500 --step-size 0.05 --json me.json --save me.model
    check "method_${m}_is_named" [ "$(field me.json solver)" = $m ]
    check "method_${m}_is_not_below_the_optimum" awk -v o="$(field me.json objective)" -v b="$(field e.json objective)" 'BEGIN { exit !(o >= b * (1 - 1e-6)) }'
done
good "a_trained_network_is_confirmed" certify me.model five.csv --bound none
good "batches_and_a_schedule" $five --method sgd --width 20 --epochs 50 --batch 2 --schedule cosine --momentum 0 --step-size 0.02 --quiet

good "least_norm_interpolation" train five.csv --scale none --raw-targets --interpolate --exact --json in.json --save in.model
check "it_reaches_the_targets" awk -v r="$(field in.json residual | head -n 1)" 'BEGIN { exit !(r != "" && r <= 1e-6) }'
check "its_norm_is_the_least" awk -v n="$(sed -n 's/^ *"norm": \(.*\),/\1/p' in.json)" -v b="$(sed -n 's/^ *"norm_bound": \(.*\),/\1/p' in.json)" 'BEGIN { exit !(b > 0 && n >= b * (1 - 1e-4) && n <= b * 1.02) }'
good "heuristics_of_the_search" $five --search-from flipped --width 20 --quiet
good "ascents" $five --width 20 --ascents 8 --quiet
bad "interpolation_has_no_strength" 2 "--interpolate: .* excludes" train five.csv --interpolate --lambda 1 $outs
bad "interpolation_is_for_relu" 2 "--interpolate: goes with --model relu only" train five.csv --interpolate --model gated $outs

# ---- Networks of other programs
foreign="certify --w1 enet/W1.npy --w2 enet/W2.npy"
good "certify_a_foreign_network" $foreign five.csv --raw-targets --lambda 0.06 --json f.json
check "its_objective_is_recomputed" near "$(field f.json objective)" "$(field e.json objective)" 1e-6
check "its_bound_is_below" awk -v o="$(field f.json objective)" -v b="$(field f.json dual_bound)" 'BEGIN { exit !(b >= 0.98 * o && b <= o * (1 + 1e-9)) }'
check "it_is_not_conditional" grep -q '"conditional_on_b2": false' f.json
said "b2_makes_it_conditional" "conditional" $foreign --b2 enet/b2.npy five.csv --raw-targets --lambda 0.06
said "both_penalties_are_named" "W2" $foreign five.csv --raw-targets --lambda 0.06 --penalty l1
good "a_foreign_network_may_be_scaled" $foreign five.csv --raw-targets --lambda 0.06 --scale unit
bad "a_foreign_network_needs_w2" 2 "--w2 is missing" certify --w1 enet/W1.npy five.csv --lambda 1 --json kept.json
bad "a_foreign_network_needs_lambda" 2 "--lambda is missing" $foreign five.csv --json kept.json
bad "its_lambda_is_positive" 2 "--lambda 0: must be a number greater than 0" $foreign five.csv --lambda 0 --json kept.json
bad "its_data_are_needed" 2 "one data file" $foreign --lambda 1 --json kept.json
bad "a_wrong_w1_is_named" 2 "enet/W2.npy: .* columns where the data have 1 feature" certify --w1 enet/W2.npy --w2 enet/W1.npy five.csv --lambda 1
bad "a_wrong_w2_is_named" 2 "enet/W1.npy: .* columns where enet/W1.npy has" certify --w1 enet/W1.npy --w2 enet/W1.npy five.csv --lambda 1 --raw-targets
bad "one_bias_is_enough" 2 "--b1: .* holds the bias already" $foreign --b1 enet/b2.npy five.csv --lambda 1 --raw-targets
bad "a_model_knows_its_lambda" 2 "--lambda: goes with --w1" certify e.model five.csv --lambda 1
bad "a_foreign_network_is_not_saved" 2 "--save: is for saved models" $foreign five.csv --lambda 1 --save kept.model
bad "gated_models_have_no_such_bound" 2 "--bound: .* is a gated model" certify r.model r.csv --bound weighted

# ---- Models that are wrong
head -c 200 w.model >cut.model
bad "a_truncated_model" 2 "cut.model" predict cut.model "$data/wine.csv" --out kept.csv
{ head -c 300 w.model; printf 'XXXX'; tail -c +305 w.model; } >alt.model
bad "an_altered_model" 2 "alt.model" certify alt.model "$data/wine.csv" --json kept.json
bad "a_file_is_named_once" 2 "^cvxrelu: cut.model: the model" info cut.model
bad "a_foreign_model" 2 "^cvxrelu: $data/wine.csv: not a" predict "$data/wine.csv" "$data/wine.csv" --out kept.csv
: >empty.model
bad "an_empty_model" 2 "empty.model" info empty.model
bad "a_missing_model" 2 "nowhere.model" info nowhere.model

# ---- .npy files, byte by byte. number TYPE VALUE: the bytes, as printf escapes, most significant first
number() {
    case $1$2 in
    f80|f40) h='\000\000' ;;  f81) h='\077\360' ;;     f82) h='\100\000' ;;   f8-1) h='\277\360' ;;
    f85) h='\077\340' ;;      f41) h='\077\200' ;;     f42) h='\100\000' ;;   f4-1) h='\277\200' ;;
    f45) h='\077\000' ;;
    esac
    if [ $1 = f8 ]; then z='\000\000\000\000\000\000'; else z='\000\000'; fi
    if [ $3 = '>' ]; then printf '%s' "$h$z"; else printf '%s' "$z${h#????}${h%????}"; fi
}
# npy FILE VERSION ORDER TYPE FORTRAN SHAPE VALUES...: VALUES in file order; 5 stands for 0.5
npy() {
    file=$1 version=$2 order=$3 type=$4 fortran=$5 shape=$6; shift 6
    head="{'descr': '$order$type', 'fortran_order': $fortran, 'shape': $shape, }"
    size=$((${#head} + 1))
    printf '\223NUMPY\'"00$version"'\000' >$file
    if [ $version = 1 ]; then pad='\000'; else pad='\000\000\000'; fi
    printf "\\$(printf %03o $size)$pad" >>$file
    printf '%s\n' "$head" >>$file
    bytes=
    for v in "$@"; do bytes=$bytes$(number $type $v "$order"); done
    printf "$bytes" >>$file
}
rows="1 2 0 1 -1 5 2 -1 5 0 -1 -1 0 2 1 1"     # 8 x 2, row by row
cols="1 0 -1 2 5 -1 0 1 2 1 5 -1 0 -1 2 1"     # the same, column by column
ys="1 0 2 -1 5 0 1 2"
printf '1,2,1\n0,1,0\n-1,0.5,2\n2,-1,-1\n0.5,0,0.5\n-1,-1,0\n0,2,1\n1,1,2\n' >n.csv
want=$(objective n.csv --raw-targets)
for version in 1 2; do for order in '<' '>'; do for type in f8 f4; do for fortran in False True; do
    if [ $fortran = True ]; then values=$cols; else values=$rows; fi
    npy X.npy $version "$order" $type $fortran '(8, 2)' $values
    npy Y.npy $version "$order" $type False '(8,)' $ys
    got=$(objective --x X.npy --y Y.npy --raw-targets)
    name="npy_version_${version}_${order}${type}_fortran_$fortran"
    if [ -n "$got" ] && [ "$got" = "$want" ]; then ok "$name"; else fail "$name" "$got, not $want: $(head -n 1 err)"; fi
done; done; done; done
good "certify_npy" train --x X.npy --y Y.npy --raw-targets $gated --patterns 30 --save n.model
good "certify_npy_data" certify n.model --x X.npy --y Y.npy
good "predict_npy_data" predict n.model X.npy
npy G.npy 1 '<' f8 False '(3, 4)' 1 0 -1 1 2 1 0 -1 0 5 0 5
npy G2.npy 1 '<' f8 True '(3, 4)' 1 2 0 0 1 5 -1 0 0 1 -1 5
good "gates_are_given" train --x X.npy --y Y.npy --raw-targets $gated --gates G.npy --json g.json --save g.model
check "given_gates_are_all_kept" [ "$(field g.json patterns)" = 4 ]
good "certify_given_gates" certify g.model --x X.npy --y Y.npy
good "fortran_gates_are_the_same" train --x X.npy --y Y.npy --raw-targets $gated --gates G2.npy --json g2.json
check "fortran_gates_give_the_same_objective" [ "$(field g.json objective)" = "$(field g2.json objective)" ]
good "the_written_npy_is_read_back" train --x X.npy --y Y.npy --raw-targets $gated --gates G.npy --save-convex gconv
good "its_gates_are_the_scaled_ones" train --x X.npy --y Y.npy --raw-targets $gated --gates-scaled gconv/G.npy --json g3.json
check "scaled_gates_give_the_same_objective" near "$(field g3.json objective)" "$(field g.json objective)" 1e-6
npy G4.npy 1 '<' f8 False '(4, 1)' 1 0 1 2
bad "gates_of_a_wrong_height" 2 "G4.npy: 4 rows" train --x X.npy --y Y.npy --gates G4.npy --save kept.model
npy G0.npy 1 '<' f8 False '(3, 0)'
bad "no_gates" 2 "G0.npy" train --x X.npy --y Y.npy --gates G0.npy --save kept.model
bad "gates_exclude_patterns" 2 "--gates" train --x X.npy --y Y.npy --gates G.npy $outs
npy Y7.npy 1 '<' f8 False '(7,)' 1 0 2 -1 5 0 1
bad "y_of_other_length" 2 "Y7.npy: 7 rows" train --x X.npy --y Y7.npy $outs
head -c 100 X.npy >cut.npy
bad "a_truncated_npy" 2 "cut.npy: is truncated" train --x cut.npy --y Y.npy $outs
head -c 30 X.npy >cut.npy
bad "an_npy_truncated_in_its_header" 2 "cut.npy: is truncated" train --x cut.npy --y Y.npy $outs
{ cat X.npy; printf x; } >long.npy
bad "an_npy_with_a_tail" 2 "long.npy" train --x long.npy --y Y.npy $outs
bad "a_foreign_npy" 2 "n.csv: is not a .npy" train --x n.csv --y Y.npy $outs
LC_ALL=C sed 's/f4/c8/' X.npy >bad.npy
bad "an_npy_of_complex_numbers" 2 "bad.npy: its elements" train --x bad.npy --y Y.npy $outs
npy big.npy 1 '<' f8 False '(9223372036854775807, 9223372036854775807)' 1
bad "an_npy_whose_size_overflows" 2 "big.npy" train --x big.npy --y Y.npy $outs
npy cube.npy 1 '<' f8 False '(4, 2, 2)' $rows
bad "an_npy_of_three_axes" 2 "cube.npy: its shape" train --x cube.npy --y Y.npy $outs
npy nan.npy 1 '>' f8 False '(8, 2)' $rows
size=$(($(wc -c <nan.npy) - 8)); head -c $size nan.npy >bad.npy; printf '\177\370\0\0\0\0\0\0' >>bad.npy
bad "nan_in_an_npy" 2 "bad.npy: row 8, column 2" train --x bad.npy --y Y.npy $outs

# ---- A full disk: the old file stays whole
if (trap '' XFSZ; ulimit -f 1) 2>/dev/null; then
    echo old >kept.model
    (trap '' XFSZ; ulimit -f 1; exec "$tool" train "$data/wine.csv" --patterns 50 --quiet --save kept.model) 2>err
    status=$?
    if [ $status = 1 ] && [ "$(cat kept.model)" = old ] && [ ! -e kept.model.tmp ]; then ok "a_full_disk_leaves_the_old_model"
    else fail "a_full_disk_leaves_the_old_model" "exit $status: $(cat err)"; fi
else skip "a_full_disk_leaves_the_old_model"; fi
if [ -c /dev/full ] && [ -w /dev/full ]; then
    bad "a_full_device_for_the_model" 1 "/dev/full" train "$data/wine.csv" --patterns 20 --save /dev/full --json kept.json
    bad "a_full_device_for_json" 1 "/dev/full" train "$data/wine.csv" --patterns 20 --save kept.model --json /dev/full
    bad "a_full_device_for_predictions" 1 "/dev/full" predict w.model "$data/wine.csv" --out /dev/full
    "$tool" predict w.model "$data/wine.csv" >/dev/full 2>err; status=$?
    if [ $status = 1 ]; then ok "a_full_standard_output"; else fail "a_full_standard_output" "exit $status"; fi
    check "the_device_is_still_a_device" [ -c /dev/full ]
else for t in 1 2 3 4 5; do skip "/dev/full"; done; fi

# ---- JSON
for f in w c s q v z r e ec ec2 s5 al pr dk rw rwc f in me; do
    check "json_${f}_has_no_nan" sh -c "! grep -Eiq '(: *-?(nan|inf))' $f.json"
    check "json_${f}_is_balanced" awk '{ a += gsub(/[{[]/, ""); b += gsub(/[}\]]/, ""); q += gsub(/"/, "") }
        END { exit !(a == b && a > 0 && q % 2 == 0) }' $f.json
done
for key in version model solver loss n d c patterns lambda objective dual_bound gap bound_scope constraint_violation \
           stop iterations passes neurons seconds peak_bytes threads seed train_accuracy; do
    check "json_has_$key" [ -n "$(field w.json $key)" ]
done
if command -v python3 >/dev/null 2>&1; then
    for f in w c s q v z r e ec ec2 s5 al pr dk rw rwc f in me; do check "json_${f}_parses" python3 -m json.tool $f.json; done
else skip "json_parses"; fi
"$tool" train "$data/wine.csv" --patterns 20 --json - >out 2>err
check "json_alone_on_standard_output" sh -c 'head -n 1 out | grep -q "^{" && tail -n 1 out | grep -q "^}"'

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]

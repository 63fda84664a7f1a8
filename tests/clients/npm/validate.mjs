// Validates the xAPI statements of a file, one a line. Its last line tells, for each of them, what
// is wrong.

import { readFileSync } from "node:fs";
import validation from "@learninglocker/xapi-validation";

const problems = readFileSync(process.argv[2], "utf8")
  .split("\n")
  .map((line) => validation.default(JSON.parse(line)))
  .map((found) => found.map((problem) => JSON.stringify(problem)));
console.log(JSON.stringify(problems));

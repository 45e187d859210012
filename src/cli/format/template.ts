/** The templates of `--format`. */
export { asMap, compileTemplate, TemplateError } from "../../base/template/template.ts";

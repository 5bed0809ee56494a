import { choose, LANGUAGES, language, nameOf, words } from "../i18n/language.ts";

export function LanguageSwitch() {
  return (
    <div class="languages" role="group" aria-label={words.value.languages}>
      {LANGUAGES.map((one) => (
        <button
          key={one}
          type="button"
          class="language"
          lang={one}
          aria-pressed={one === language.value}
          aria-label={`${one.toUpperCase()}, ${nameOf(one)}`}
          title={nameOf(one)}
          onClick={() => choose(one)}
        >
          {one.toUpperCase()}
        </button>
      ))}
    </div>
  );
}

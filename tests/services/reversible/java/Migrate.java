import org.flywaydb.core.Flyway;

/** What Flyway's own command does, as its package for Maven has no program: migrate, validate, or how many are applied. */
public class Migrate {
    public static void main(String[] words) {
        var env = System.getenv();
        var flyway = Flyway.configure()
            .dataSource("jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE"),
                env.get("PGUSER"), env.get("PGPASSWORD"))
            .locations("filesystem:" + words[1])
            .load();
        switch (words[0]) {
            case "migrate" -> System.out.println(flyway.migrate().migrationsExecuted + " executed");
            case "validate" -> flyway.validate();
            case "applied" -> System.out.println(flyway.info().applied().length);
            default -> throw new IllegalArgumentException(words[0]);
        }
    }
}
